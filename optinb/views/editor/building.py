"""From the editor's document to a rule, or to what is still missing in it, each thing with its place. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, NoReturn, assert_never

from msgspec import Struct

from optinb.errors import RuleError
from optinb.rules import (
    AllOf,
    AnyOf,
    Compare,
    Contacted,
    Day,
    DaysAgo,
    Did,
    InGroup,
    InList,
    Matches,
    Not,
    Rank,
    Rule,
    Uses,
    Window,
    attr,
    check_size,
    days_ago,
    parse,
)
from optinb.rules.values import window_of
from optinb.views.editor.document import (
    WHERE,
    AppPart,
    BehaviourPart,
    CampaignPart,
    Code,
    Condition,
    GroupPart,
    Path,
    Saved,
)
from optinb.views.editor.words import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optinb.rules import Kind, Value
    from optinb.views.editor.document import Line, Unit
    from optinb.views.editor.document import Window as WindowPart

MOST_DIGITS = 20


class Problem(Struct, frozen=True):
    """What is missing or wrong in one part, in words."""

    path: Path
    text: str


class Built(Struct, frozen=True):
    """What a document says: its rule, unless something is missing; and the part that each path of the rule is of."""

    rule: Rule | None
    problems: tuple[Problem, ...]
    paths: Mapping[str, Path]

    def place(self, message: str) -> Problem:
        """An error of the whole rule, such as `rule.all[1]: attribute 'contry' isn't known`, at the part it is about.

        One about a part inside a saved group is at the line that names the group; any other error is of the whole.
        """
        named, separator, words = message.partition(": ")
        where = named.removeprefix("rule")
        if not separator or not named.startswith("rule") or (where and where[0] not in "."):
            return Problem((), _sentence(message))
        while where and where not in self.paths:
            where = where[: max(where.rfind("."), 0)]
        return Problem(self.paths.get(where, ()), _sentence(words))


class _MissingError(Exception):
    """Something of a part is still to be written."""


def build(document: GroupPart) -> Built:
    """The rule of a document, or everything that is missing in it."""
    problems: list[Problem] = []
    paths: dict[str, Path] = {}
    rule = _whole(document, (), "", problems, paths)
    if rule is not None and not problems:
        try:
            check_size(rule)
        except RuleError as error:
            problems.append(Problem((), str(error)))
    return Built(None if problems else rule, tuple(problems), paths)


def line_rule(line: Line) -> Rule:
    """The rule of one part. Raises RuleError naming what is missing first."""
    problems: list[Problem] = []
    rule = _line(line, (), "", problems, {})
    if rule is None or problems:
        raise RuleError(problems[0].text)
    return rule


def _whole(group: GroupPart, path: Path, at: str, problems: list[Problem], paths: dict[str, Path]) -> Rule | None:
    """A document, or the conditions of a behaviour: a group of one part means that part."""
    if len(group.parts) == 1 and group.joined != "none":
        return _line(group.parts[0], (*path, 0), at, problems, paths)
    return _line(group, path, at, problems, paths)


def _line(line: Line, path: Path, at: str, problems: list[Problem], paths: dict[str, Path]) -> Rule | None:
    paths[at] = path
    match line:
        case GroupPart():
            return _group(line, path, at, problems, paths)
        case BehaviourPart():
            inside = f"{at}.not.where" if line.negated else f"{at}.where"
            where = _whole(line.where, (*path, WHERE), inside, problems, paths) if line.where.parts else None
            if line.where.parts and where is None:
                return None
            found = _made(lambda: _behaviour(line, where), path, problems)
        case Condition():
            found = _made(lambda: _condition(line), path, problems)
        case AppPart():
            found = _made(lambda: _app(line), path, problems)
        case CampaignPart():
            found = _made(lambda: _campaign(line), path, problems)
        case Saved():
            found = _made(lambda: _saved(line), path, problems)
        case Code():
            found = _made(lambda: _code(line), path, problems)
        case _:
            assert_never(line)
    if found is None or not line.negated:
        return found
    paths[f"{at}.not"] = path
    return Not(found)


def _group(group: GroupPart, path: Path, at: str, problems: list[Problem], paths: dict[str, Path]) -> Rule | None:
    if not group.parts:
        problems.append(Problem(path, "Nothing is in this group yet; add a condition, or remove it."))
        return None
    if group.joined == "none":
        paths[f"{at}.not"] = path
    if group.joined == "none" and len(group.parts) == 1:
        only = _line(group.parts[0], (*path, 0), f"{at}.not", problems, paths)
        return None if only is None else Not(only)
    step = {"all": ".all", "any": ".any", "none": ".not.any"}[group.joined]
    rules = [
        _line(part, (*path, place), f"{at}{step}[{place}]", problems, paths) for place, part in enumerate(group.parts)
    ]
    whole = tuple(rule for rule in rules if rule is not None)
    if len(whole) < len(rules):
        return None
    if group.joined == "all":
        return AllOf(whole)
    return AnyOf(whole) if group.joined == "any" else Not(AnyOf(whole))


def _made(make: Callable[[], Rule], path: Path, problems: list[Problem]) -> Rule | None:
    try:
        return make()
    except _MissingError as missing:
        text = str(missing)
    except (RuleError, ValueError, TypeError, OverflowError) as error:
        text = str(error)
    problems.append(Problem(path, _sentence(text)))
    return None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def _condition(line: Condition) -> Rule:
    if not line.attribute:
        _missing("choose an attribute")
    subject, values = attr(line.attribute), line.values
    takes = OPERATORS[line.op].takes
    if takes is not None and len(values) != takes:
        values = (*values, "", "")[:takes]
    match line.op:
        case "missing":
            return subject.is_missing()
        case "known":
            return subject.is_known()
        case "one_of":
            return subject.one_of([_scalar(v, line.kind) for v in _some(values, "a value, one a line")])  # type: ignore[misc]
        case "contains" | "starts_with" | "ends_with":
            return getattr(subject, line.op)(_text(values[0]))
        case "matches":
            return Matches(line.attribute, _text(values[0]))
        case "anniversary":
            first, last = (_whole_number(v, "days after the run date") for v in values)
            return subject.anniversary(first, last)
        case "top" | "bottom":
            return Rank(line.attribute, line.op, _number(values[0], "a percentage"), line.within or None)
        case op:
            return Compare(line.attribute, op, _value(values[0], line.kind, line.unit))  # type: ignore[arg-type]


def _behaviour(line: BehaviourPart, where: Rule | None) -> Rule:
    if not line.event:
        _missing("choose what they did")
    column = None
    if line.measure in ("total", "average"):
        if not line.column:
            _missing(f"choose the column that the {line.measure} is of")
        column = line.column
    if line.measure in ("first", "last"):
        value: int | float | Day | DaysAgo = _day(line.value, line.unit)
    elif line.measure in ("count", "days_in_a_row"):
        value = _number(line.value, "how many times" if line.measure == "count" else "how many days")
    else:
        value = _number(line.value, "a number")
    return Did(line.event, line.op, value, line.measure, column, where, _window(line.window))


def _app(line: AppPart) -> Rule:
    window = _window(line.window)
    return Uses(
        line.app or None, line.platform or None, line.version_from or None, line.version_to or None, last_used=window
    )


def _campaign(line: CampaignPart) -> Rule:
    days = _whole_number(line.days, "days in which a purchase counts") if line.what == "responded" else None
    times = _whole_number(line.times, "how many times")
    if not 1 <= times <= 10_000:
        _missing(f"{times:,} times can't be asked for; give a number from 1 to 10,000")
    return Contacted(line.what, line.campaign or None, times, days, _window(line.window))


def _saved(line: Saved) -> Rule:
    if not line.name:
        _missing("choose a saved group" if line.kind == "group" else "choose a list")
    return InGroup(line.name) if line.kind == "group" else InList(line.name, line.sha256 or None)


def _code(line: Code) -> Rule:
    if not line.text.strip():
        _missing("write a rule, such as attr('country') == 'DE'")
    return parse(line.text)


def _value(text: str, kind: Kind, unit: Unit) -> Value:
    return _day(text, unit) if kind == "day" else _scalar(text, kind)


def _scalar(text: str, kind: Kind) -> str | bool | int | float:
    match kind:
        case "text":
            return _text(text)
        case "yes/no":
            if text not in ("yes", "no"):
                _missing("choose yes or no")
            return text == "yes"
        case _:
            return _number(text, "a number")


def _text(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable():
        _missing(
            "write a value" if not text.strip() else "spaces at the ends and line breaks can only be written as code"
        )
    return text


def _number(text: str, what: str) -> int | float:
    if not text.strip():
        _missing(f"write {what}")
    plain = text.strip().replace(",", "") if _has_thousands(text.strip()) else text.strip()
    try:
        return int(plain)
    except ValueError:
        pass
    try:
        return float(plain)
    except ValueError:
        _missing(f"“{text}” is no number; write such as 1250 or 12.5")


def _has_thousands(text: str) -> bool:
    first, *groups = text.removeprefix("-").split(".")[0].split(",")
    return bool(groups) and first.isdigit() and len(first) <= 3 and all(len(g) == 3 and g.isdigit() for g in groups)


def _whole_number(text: str, what: str) -> int:
    number = _number(text, what)
    if isinstance(number, float):
        _missing(f"“{text}” is no whole number; write {what}")
    return number


def _day(text: str, unit: Unit) -> Day | DaysAgo:
    if unit != "date":
        days = _whole_number(text, "a number of days")
        if days < 0:
            _missing(f"“{text}” lies on the other side of the run date; choose before or after it")
        return days_ago(days if unit == "days_ago" else -days)
    return Day(_date(text, "a day"))


def _date(text: str, what: str) -> date:
    if not text.strip():
        _missing(f"choose {what}")
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        _missing(f"“{text}” is no date; write such as 2026-11-23")


def _window(window: WindowPart) -> Window | None:
    match window.span:
        case "ever":
            return None
        case "last":
            return window_of("the last days", days=_whole_number(window.days, "a number of days"))
        case "between":
            first, last = _date(window.first, "the first day"), _date(window.last, "the last day")
            if last < first:
                _missing(f"the time ends ({last}) before it begins ({first}); swap the days")
            return window_of("between", first=first, last=last)


def _some(values: Sequence[str], what: str) -> Sequence[str]:
    if not any(value.strip() for value in values):
        _missing(f"write {what}")
    return values


def _missing(what: str) -> NoReturn:
    raise _MissingError(what)
