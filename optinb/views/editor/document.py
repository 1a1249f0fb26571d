"""What the rule editor edits: the JSON of a rule, with holes for what isn't a value yet (see `holes`). Pure.

Three things stand otherwise than in the rule, so that whatever is edited is a group or a line:

* the outermost part, and the conditions inside a behaviour, are a group; one of a single part means that part;
* "none of" is always `not` of `any`, so a group of one part in it means the opposite of that part;
* what no blank can hold is a line of code: `{"is": "code", "text": "attr('city') == ''"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from optinb.errors import RuleError
from optinb.rules import Rule, check_size, did, parse, to_text, uses_app
from optinb.rules.build import received
from optinb.views.editor.holes import OF_THE_ATTRIBUTE, OPERATORS, Json, filled, kind_of, shown, unit_of, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.rules import Kind, Node

Path = tuple[int, ...]
"""The way to a part: places in groups, and WHERE for the conditions inside a behaviour."""
WHERE = -1
PLURAL = {"text": "texts", "number": "numbers"}


def document_of(rule: Rule) -> Json:
    """The document of a rule, whose outermost part is a group; `build` makes the same rule of it again."""
    return _whole(json_of(rule))


def json_of(rule: Node) -> Json:
    """A rule as plain JSON."""
    return msgspec.json.decode(msgspec.json.encode(rule))


def line_of(rule: Rule) -> Json:
    """A rule without parts as a line; of code, where no blank can hold its values."""
    return _read(json_of(rule))


def joined(part: Json) -> str:
    """How a group joins its parts, a key of `words.JOINED`; nothing for a line."""
    if part["is"] == "not":
        return "none" if part["rule"]["is"] == "any" else ""
    return part["is"] if part["is"] in ("all", "any") else ""


def parts(group: Json) -> list[Json]:
    """The parts of a group."""
    return (group["rule"] if group["is"] == "not" else group)["rules"]


def group_of(how: str, rules: Sequence[Json]) -> Json:
    """A group of parts."""
    return opposite(group_of("any", rules)) if how == "none" else {"is": how, "rules": list(rules)}


def core(line: Json) -> Json:
    """A line without the `not` around it."""
    return line["rule"] if line["is"] == "not" else line


def with_core(line: Json, inner: Json) -> Json:
    """A line with something else in the `not` around it, or without one as before."""
    return {"is": "not", "rule": inner} if line["is"] == "not" else inner


def is_negated(line: Json) -> bool:
    """Whether a line says that something does not hold; what isn't missing is known, which has words of its own."""
    return line["is"] == "not" and line["rule"]["is"] != "missing"


def opposite(part: Json) -> Json:
    """The opposite of a part: any becomes none and the other way round."""
    if part["is"] == "not":
        return part["rule"]
    return {"is": "not", "rule": group_of("any", [part]) if part["is"] == "all" else part}


def operator_of(line: Json) -> str:
    """The operator of a condition, a key of `words.OPERATORS`; nothing for another line."""
    inner = core(line)
    name = inner.get("op", inner.get("side", inner["is"]))
    return ("known" if line["is"] == "not" and name == "missing" else name) if "attribute" in inner else ""


def texts_of(line: Json) -> tuple[str, ...]:
    """What is written into the blanks of a condition."""
    return tuple(map(shown, _leaves(line)))


def kind_in(line: Json, kinds: Mapping[str, Kind]) -> Kind:
    """The kind of attribute of a condition: as its values say, else as it's known, else the first that fits."""
    operator, leaves = OPERATORS[operator_of(line)], _leaves(line)
    if leaves and OF_THE_ATTRIBUTE in operator.blanks.values():
        return kind_of(leaves[0])
    return kinds.get(shown(core(line)["attribute"]), operator.kinds[0])


def condition(attribute: Any, op: str, kind: Kind, texts: Sequence[str] = (), unit: str = "days_ago") -> Json:
    """A condition with texts written into its blanks; `unit` is that of a day."""
    found = OPERATORS[op]
    of_kind = unit if kind == "day" else kind
    made = {**found.form, "attribute": attribute}
    if op == "one_of":
        made["values"] = [write(PLURAL.get(kind, of_kind), text) for text in texts or found.starts]
    else:
        written = (*texts, *found.starts[len(texts) :])
        made |= {name: write(blank or of_kind, text) for (name, blank), text in zip(found.blanks.items(), written)}  # noqa: B905
    return opposite(made) if op == "known" else made


def with_texts(line: Json, texts: Sequence[str], unit: str = "") -> Json:
    """A condition with other texts in its blanks."""
    inner, op = core(line), operator_of(line)
    made = core(condition(inner["attribute"], op, kind_in(line, {}), texts, unit or unit_in(line)))
    return with_core(line, inner | {name: made[name] for name in made if name != "within"})


def unit_in(line: Json) -> str:
    """How the day of a condition is given; before the run date where it has none."""
    return unit_of((*_leaves(line), None)[0])


def _leaves(line: Json) -> list[Any]:
    inner, operator = core(line), OPERATORS[operator_of(line)]
    return inner["values"] if inner["is"] == "one_of" else [inner[name] for name in operator.blanks]


def _whole(part: Json) -> Json:
    read = _read(part)
    # a group of one part at the very top means that part
    return read if joined(read) and (len(parts(read)) > 1 or joined(read) == "none") else group_of("all", [read])


def _read(part: Json) -> Json:
    """A part of a rule's JSON as a part of a document."""
    match part:
        case {"is": "not", "rule": {"is": "any", "rules": rules}} if len(rules) > 1:
            return group_of("none", map(_read, rules))  # type: ignore[arg-type]
        case {"is": "not", "rule": {"is": "all" | "any" | "not"} as inner}:
            return group_of("none", [_read(inner)])
        case {"is": "not", "rule": inner}:
            return {"is": "not", "rule": _read(inner)}
        case {"is": "all" | "any" as how, "rules": rules}:
            return group_of(how, map(_read, rules))  # type: ignore[arg-type]
        case {"is": "did", "filter": dict() as conditions}:
            return part | {"filter": _whole(conditions)}
        case _:
            return part if _can_be_written(part) else {"is": "code", "text": to_text(msgspec.convert(part, Rule))}  # type: ignore[arg-type]


def _can_be_written(line: Json) -> bool:
    """Whether the blanks of a line can hold its values."""
    op = operator_of(line)
    return not op or with_texts(line, texts_of(line)) == line


def window_of(span: str) -> Any:
    """A time of a span, a key of `words.SPANS`, to be written."""
    blanks = {"last": {"days": "last days"}, "between": {"first": "first day", "last": "last day"}}
    return {"is": span} | {name: write(kind, "") for name, kind in blanks[span].items()} if span in blanks else None


def kind_measured(measure: str) -> str:
    """The kind of blank in which a measure of a behaviour is compared; `days_ago` may become another day."""
    return {"first": "days_ago", "last": "days_ago", "total": "number", "average": "number"}.get(measure, measure)


# what a new line begins with
CONDITION = condition(write("attribute", ""), "eq", "text")
NEW: dict[str, Json] = {
    "attribute": CONDITION,
    "behaviour": json_of(did("purchase").within(days=30)),
    "nested": group_of("any", [CONDITION]),
    "app": json_of(uses_app()),
    "campaign": json_of(received()),
    "group": {"is": "in_group", "group": write("group", "")},
    "list": {"is": "in_list", "name": write("list", ""), "sha256": None},
    "code": {"is": "code", "text": write("code", "")},
}


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


def build(document: Json) -> Built:
    """The rule of a document, or everything that is missing in it."""
    builder = _Builder()
    found = builder.whole(document, (), "")
    rule = None
    if not builder.problems:
        try:
            rule = msgspec.convert(found, Rule)  # type: ignore[arg-type]
            check_size(rule)
        except RuleError as error:
            rule = builder.refuse((), str(error))
    return Built(rule, tuple(builder.problems), builder.paths)


class _Builder:
    """Makes the rule's JSON of a document, and notes what is missing in it; what isn't whole is None."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.paths: dict[str, Path] = {}

    def refuse(self, path: Path, text: str) -> None:
        self.problems.append(Problem(path, _sentence(text)))

    def whole(self, group: Json, path: Path, at: str) -> Json | None:
        """A document, or the conditions of a behaviour: a group of one part means that part."""
        if len(parts(group)) == 1 and joined(group) != "none":
            return self.part(parts(group)[0], (*path, 0), at)
        return self.part(group, path, at)

    def part(self, part: Json, path: Path, at: str) -> Json | None:
        self.paths[at] = path
        if joined(part):
            return self.group(part, path, at)
        if part["is"] == "not":
            return _not(self.part(part["rule"], path, f"{at}.not"))
        if part.get("filter"):
            part = part | {"filter": self.whole(part["filter"], (*path, WHERE), f"{at}.where")}
            if part["filter"] is None:
                return None
        try:
            found = filled(part)
            made = parse(found["text"]) if found["is"] == "code" else msgspec.convert(found, Rule)  # type: ignore[arg-type]
        except msgspec.ValidationError as error:
            return self.refuse(path, str(error).partition(" - at `$")[0])
        except (RuleError, ValueError, OverflowError) as error:
            return self.refuse(path, str(error))
        return json_of(made)

    def group(self, group: Json, path: Path, at: str) -> Json | None:
        inside, how = parts(group), joined(group)
        if not inside:
            return self.refuse(path, "Nothing is in this group yet; add a condition, or remove it.")
        if how == "none":
            self.paths[f"{at}.not"] = path
            if len(inside) == 1:
                return _not(self.part(inside[0], (*path, 0), f"{at}.not"))
        step = f"{at}{'.not.any' if how == 'none' else f'.{how}'}"
        rules = [self.part(part, (*path, place), f"{step}[{place}]") for place, part in enumerate(inside)]
        return group_of(how, rules) if all(rules) else None  # type: ignore[arg-type]


def _not(rule: Json | None) -> Json | None:
    return rule and {"is": "not", "rule": rule}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
