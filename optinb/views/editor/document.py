"""What the rule editor edits: a rule in the making, as frozen values. What is still to be written is an empty text.

Everything that people write stays as they wrote it, so that half a number is neither lost nor guessed at.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from optinb.rules import PURCHASE, Kind

Joined = Literal["all", "any", "none"]
Unit = Literal["date", "days_ago", "days_ahead"]
Span = Literal["ever", "last", "between"]


class Part(Struct, frozen=True, tag_field="is"):
    """A line of the editor, or a group of lines."""


class Window(Struct, frozen=True):
    """A time: ever, the last `days`, or from `first` to `last` (days such as 2026-11-23)."""

    span: Span = "ever"
    days: str = ""
    first: str = ""
    last: str = ""


class GroupPart(Part, frozen=True, tag="group"):
    """All, any or none of some parts."""

    joined: Joined = "all"
    parts: tuple[Line, ...] = ()


class Condition(Part, frozen=True, tag="condition"):
    """An attribute of the customer, or inside `where` a column of what they did, compared with something.

    Attributes:
        op: a key of `words.OPERATORS`.
        kind: of the attribute, which says how `values` are read.
        values: as many as the operator takes.
        unit: of a day: a date, or a number of days before or after the run date.
        within: of a rank, the attribute in which those compared are alike.
        negated: the condition must not hold.
    """

    attribute: str = ""
    op: str = "eq"
    kind: Kind = "text"
    values: tuple[str, ...] = ("",)
    unit: Unit = "date"
    within: str = ""
    negated: bool = False


class BehaviourPart(Part, frozen=True, tag="behaviour"):
    """What customers did; `where` is a group of conditions on the columns of a row, without parts if there is none."""

    event: str = PURCHASE
    measure: Literal["count", "total", "average", "first", "last", "days_in_a_row"] = "count"
    op: Literal["ge", "le", "eq", "gt", "lt"] = "ge"
    value: str = "1"
    unit: Unit = "days_ago"
    column: str = ""
    where: GroupPart = GroupPart()
    window: Window = Window()
    negated: bool = False


class AppPart(Part, frozen=True, tag="app"):
    """Which app customers use, in which version, and when they did last; an empty text means any."""

    app: str = ""
    platform: str = ""
    version_from: str = ""
    version_to: str = ""
    window: Window = Window()
    negated: bool = False


class CampaignPart(Part, frozen=True, tag="campaign"):
    """What campaigns did; without a name, any campaign."""

    what: Literal["received", "in_control", "responded"] = "received"
    campaign: str = ""
    times: str = "1"
    days: str = "7"
    window: Window = Window()
    negated: bool = False


class Saved(Part, frozen=True, tag="saved"):
    """Belongs to a saved group, or stands on an uploaded list; `sha256` ties it to the content of that list."""

    kind: Literal["group", "list"] = "group"
    name: str = ""
    sha256: str = ""
    negated: bool = False


class Code(Part, frozen=True, tag="code"):
    """A part of the rule as people write it, for what has no form of its own."""

    text: str = ""
    negated: bool = False


Line = GroupPart | Condition | BehaviourPart | AppPart | CampaignPart | Saved | Code
Path = tuple[int, ...]
"""The way to a part: places in groups, and WHERE for the conditions inside a behaviour."""
WHERE = -1
