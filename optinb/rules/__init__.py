"""The language of target groups: values, how they are written, read aloud, stored and checked. Pure."""

from optinb.rules.build import attr, days_ago, did
from optinb.rules.fit import Kind, fit
from optinb.rules.form import from_json, to_json
from optinb.rules.sentence import sentence
from optinb.rules.text import parse, to_text
from optinb.rules.tree import (
    PURCHASE,
    AllOf,
    AnyOf,
    Between,
    Compare,
    Day,
    DaysAgo,
    Did,
    Last,
    Missing,
    Node,
    Not,
    OneOf,
    Rule,
    Text,
    attributes_of,
    behaviours_of,
    walk,
)

__all__ = [
    "PURCHASE",
    "AllOf",
    "AnyOf",
    "Between",
    "Compare",
    "Day",
    "DaysAgo",
    "Did",
    "Kind",
    "Last",
    "Missing",
    "Node",
    "Not",
    "OneOf",
    "Rule",
    "Text",
    "attr",
    "attributes_of",
    "behaviours_of",
    "days_ago",
    "did",
    "fit",
    "from_json",
    "parse",
    "sentence",
    "to_json",
    "to_text",
    "walk",
]
