"""Random rules of the whole language, over a vocabulary: the names and values that the rules may hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from optinb.rules import (
    PURCHASE,
    AllOf,
    AnyOf,
    Between,
    Birthday,
    Compare,
    Contacted,
    Day,
    DaysAgo,
    Did,
    InGroup,
    InList,
    Kind,
    Last,
    Matches,
    Missing,
    Not,
    OneOf,
    Rank,
    Rule,
    Text,
    Uses,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Names = st.SearchStrategy[str]
any_name = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
any_text = st.text(st.characters(codec="utf-8"), max_size=20)
some_text = any_text.filter(bool)
few = st.integers(0, 4)
few_or_part = st.one_of(st.integers(-3, 100), st.sampled_from([0.5, 10.25]))
any_number = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
any_day = st.dates(date(1990, 1, 1), date(2040, 12, 31))
any_version = st.lists(st.integers(0, 999_999_999), min_size=1, max_size=4).map(lambda n: ".".join(map(str, n)))
patterns = st.sampled_from([
    "a", "^a", "b$", "^ab?$", ".", "[^a]", "a.c", "(ab|cd)", "^[a-z]+\\.[a-z]+$",
    "\\d{2,3}", "\\w+-", "x*$", "[\\-\\]]",
    "(?:foo|ba[rz])+!", "\\s", "é|ü", "\\.de$", "\\S", "^$", "a\\\\b", "^.{3}$",
])  # fmt: skip
windows = st.one_of(
    st.none(),
    st.builds(Last, st.sampled_from([0, 1, 2, 7, 30, 60, 365])),
    st.tuples(any_day, any_day).map(lambda d: Between(min(d), max(d))),
)
KINDS: tuple[Kind, ...] = ("text", "number", "yes/no", "day")


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What rules may name: columns by kind, values by kind, and the rest; what is None or empty isn't used."""

    attributes: Mapping[Kind, Names]
    purchases: Mapping[Kind, Names]
    events: Mapping[Kind, Names]
    event_names: Names | None
    values: Mapping[Kind, st.SearchStrategy]
    texts: Names = some_text
    apps: st.SearchStrategy[tuple[str | None, str | None]] | None = None
    versions: Names = any_version
    campaigns: Names | None = None
    lists: st.SearchStrategy[InList] | None = None
    groups: Names | None = None
    patterns: Names = patterns
    windows: st.SearchStrategy = windows
    counts: st.SearchStrategy[int] = few
    amounts: st.SearchStrategy = few_or_part


ANYTHING = Vocabulary(
    attributes=dict.fromkeys(KINDS, any_name),
    purchases=dict.fromkeys(KINDS, any_name),
    events=dict.fromkeys(KINDS, any_name),
    event_names=any_name,
    values={
        "text": any_text,
        "number": any_number,
        "yes/no": st.booleans(),
        "day": st.one_of(st.builds(Day, any_day), st.builds(DaysAgo, st.integers(-400, 4000))),
    },
    apps=st.tuples(st.none() | any_name, st.none() | any_name),
    campaigns=any_name,
    lists=st.builds(InList, any_name, st.none() | st.sampled_from(["0" * 64, "0123456789abcdef" * 4])),
    groups=any_name,
    counts=st.integers(0, 10**9),
    amounts=any_number,
)


def named(names: Mapping[str, Kind]) -> dict[Kind, Names]:
    """Columns of a table by kind, as a vocabulary wants them."""
    kinds = {kind: [name for name, k in names.items() if k == kind] for kind in KINDS}
    return {kind: st.sampled_from(found) for kind, found in kinds.items() if found}


def one_of_names(names: Sequence[str]) -> Names | None:
    """One of the names, or nothing to name."""
    return st.sampled_from(list(names)) if names else None


def leaves(columns: Mapping[Kind, Names], words: Vocabulary) -> st.SearchStrategy[Rule]:
    """Conditions on the columns of one row."""
    found: list[st.SearchStrategy[Rule]] = [st.builds(Missing, names) for names in columns.values()]
    for kind, names in columns.items():
        ops = ["eq", "ne"] if kind in ("text", "yes/no") else ["eq", "ne", "lt", "le", "gt", "ge"]
        found.append(st.builds(Compare, names, st.sampled_from(ops), words.values[kind]))
    for kind in {"text", "number", "yes/no"} & columns.keys():
        values = st.lists(words.values[kind], min_size=1, max_size=4).map(tuple)
        found.append(st.builds(OneOf, columns[kind], values))
    if "text" in columns:
        found.append(
            st.builds(Text, columns["text"], st.sampled_from(["contains", "starts_with", "ends_with"]), words.texts)
        )
        found.append(st.builds(Matches, columns["text"], words.patterns))
    if "day" in columns:
        edge = st.one_of(st.integers(-10, 10), st.sampled_from([-366, -365, -59, 28, 31, 365, 366]))
        near = st.tuples(edge, edge).map(sorted)
        found.append(st.tuples(columns["day"], near).map(lambda n: Birthday(n[0], n[1][0], n[1][1])))
    return st.one_of(found)


def combined(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    """Rules out of rules, also such as the signs don't make: one rule in a row, rows within rows, not not."""
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(Not, inner), st.builds(AllOf, several), st.builds(AnyOf, several))


def behaviours(words: Vocabulary) -> st.SearchStrategy[Rule]:
    """What customers did, in every measure."""

    def measured(event: str) -> st.SearchStrategy[Rule]:
        columns = words.purchases if event == PURCHASE else words.events
        filters = st.none() | st.recursive(leaves(columns, words), combined, max_leaves=3)
        ops = st.sampled_from(["ge", "le", "eq", "gt", "lt"])
        made = [
            st.builds(Did, st.just(event), filter=filters, window=words.windows),
            st.builds(
                Did,
                st.just(event),
                ops,
                words.counts,
                st.sampled_from(["count", "days_in_a_row"]),
                filter=filters,
                window=words.windows,
            ),
            st.builds(
                Did,
                st.just(event),
                ops,
                words.values["day"],
                st.sampled_from(["first", "last"]),
                filter=filters,
                window=words.windows,
            ),
        ]
        if "number" in columns:
            made.append(
                st.builds(
                    Did,
                    st.just(event),
                    ops,
                    words.amounts,
                    st.sampled_from(["total", "average"]),
                    columns["number"],
                    filters,
                    words.windows,
                )
            )
        return st.one_of(made)

    events = st.just(PURCHASE) if words.event_names is None else st.one_of(st.just(PURCHASE), words.event_names)
    return events.flatmap(measured)


def ranks(words: Vocabulary) -> st.SearchStrategy[Rule]:
    """The highest and the lowest part."""
    ranked = [words.attributes[kind] for kind in ("number", "day") if kind in words.attributes]
    within = st.none() | st.one_of(list(words.attributes.values()))
    percent = st.sampled_from([0.1, 1, 10, 12.5, 33.3, 50, 99])
    return st.builds(Rank, st.one_of(ranked), st.sampled_from(["top", "bottom"]), percent, within)


def rules(words: Vocabulary = ANYTHING, *, max_leaves: int = 8) -> st.SearchStrategy[Rule]:
    """Rules of the whole language over a vocabulary."""
    parts = [leaves(words.attributes, words), behaviours(words), ranks(words)]
    if words.apps is not None:
        version = st.none() | words.versions
        parts.append(st.builds(lambda app, *rest: Uses(*app, *rest), words.apps, version, version, words.windows))
    if words.campaigns is not None:
        campaign, times = st.none() | words.campaigns, st.integers(1, 3)
        what = st.sampled_from(["received", "in_control", "opened", "not_opened"])
        parts.append(st.builds(Contacted, what, campaign, times, st.none(), words.windows))
        days = st.sampled_from([0, 1, 7, 30])
        parts.append(st.builds(Contacted, st.just("responded"), campaign, times, days, words.windows))
    if words.lists is not None:
        parts.append(words.lists)
    if words.groups is not None:
        parts.append(st.builds(InGroup, words.groups))
    return st.recursive(st.one_of(parts), combined, max_leaves=max_leaves)
