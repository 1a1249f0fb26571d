"""From the editor's document to a rule, or to what is still missing in it, each thing with its place. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.errors import RuleError
from optinb.rules import Rule, check_size, parse
from optinb.views.editor.document import WHERE, Path, group_of, joined, json_of, parts
from optinb.views.editor.holes import filled

if TYPE_CHECKING:
    from optinb.views.editor.holes import Json


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
