"""Taking what names a person out of texts: JSON, notebooks, pages and lines. Pure: whoever calls reads and writes.

A name is found as a whole word: `C1` isn't in `C10`. Where a record names the person, what it holds of them goes too.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

BLANKED = "(removed: a customer was forgotten)"
# In a text that people read such a number may be a count or a year as well as an id, and counts stay.
_FIGURE = re.compile(r"\d{1,4}")
# JSON within JSON writes a line's end as two characters, the second of which is no part of a word.
_BEFORE = r"(?:(?<![\w@-])(?<!\d\.)|(?<=\\[nrtbf]))"
_AFTER = r"(?![\w@-])(?!\.\d)"
_ROW = re.compile(r"<tr\b(?:(?!<tr\b).)*?</tr>", re.DOTALL | re.IGNORECASE)


class ForgottenPerson:
    """What names somebody, and what stands there from now on.

    Args:
        names: ids, and whatever else is theirs alone, such as an e-mail address.
        values: what they share with others, such as a first name: it goes where a record names them.
        stand_in: the word in place of a name.
    """

    def __init__(self, names: Collection[str], *, values: Collection[str] = (), stand_in: str) -> None:
        self.names, self.values, self.stand_in = frozenset(names) - {""}, frozenset(values), stand_in

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """The names as they stand in plain text, in HTML and in JSON, the longest first."""
        found = {how(name) for name in self.names for how in (str, escape)}
        found |= {json.dumps(name, ensure_ascii=ascii)[1:-1] for name in found for ascii in (True, False)}
        return tuple(sorted(found, key=lambda name: (-len(name), name)))

    @cached_property
    def _word(self) -> re.Pattern[str]:
        words = [re.escape(name) for name in self.spellings if not _FIGURE.fullmatch(name)]
        return re.compile(f"{_BEFORE}(?:{'|'.join(words)}){_AFTER}" if words else r"(?!)")

    @cached_property
    def _any_word(self) -> re.Pattern[str]:
        return re.compile(f"{_BEFORE}(?:{'|'.join(map(re.escape, self.spellings))}){_AFTER}" if self.names else r"(?!)")

    def may_be_in(self, content: bytes) -> bool:
        """Whether bytes hold a name at all, be it as a part of a longer one."""
        return any(name.encode(code) in content for name in self.spellings for code in ("utf-8", "utf-16-le"))

    def is_in(self, text: str, *, figures: bool = False) -> bool:
        """Whether a text names the person; `figures`: be it by a word that may be a count."""
        return bool((self._any_word if figures else self._word).search(text))

    def text(self, text: str) -> str:
        """A text without the names."""
        return self.stand_in if text in self.names else self._word.sub(self.stand_in, text)

    def lines(self, text: str) -> str:
        """A text whose lines that name the person are blanked, and still counted."""
        lines = text.splitlines(keepends=True)
        return "".join(_blank(line) if self.is_in(line) else line for line in lines)

    def page(self, html: str) -> str:
        """A page whose rows of tables that name the person are blanked, and the names elsewhere replaced."""
        cell = f'<tr><td colspan="100">{BLANKED}</td></tr>'
        return self._word.sub(self.stand_in, _ROW.sub(lambda row: cell if self.is_in(row[0]) else row[0], html))

    def value(self, value: Any) -> Any:
        """A value of JSON without the names, and without what its objects that name the person hold of them."""
        match value:
            case str():
                return self._string(value)
            case list():
                return [self.value(one) for one in value]
            case dict():
                return self._object(value)
            case _:
                return value

    def notebook(self, content: dict[str, Any]) -> dict[str, Any]:
        """A notebook without the outputs and saved widgets that name the person, and without the names elsewhere."""
        result = self.value({key: value for key, value in content.items() if key != "cells"})
        for kind, state in dict(result.get("metadata", {}).get("widgets", {})).items():
            if state != content["metadata"]["widgets"][kind]:
                del result["metadata"]["widgets"][kind]
        return {"cells": [self._cell(cell) for cell in content["cells"]], **result}

    def _cell(self, cell: dict[str, Any]) -> dict[str, Any]:
        gone = {"output_type": "stream", "name": "stdout", "text": [BLANKED]}
        outputs = [gone if self.value(one) != one else one for one in cell.get("outputs", ())]
        return self.value({**cell, "outputs": []} if outputs else cell) | ({"outputs": outputs} if outputs else {})

    def _string(self, text: str) -> str:
        if text[:1] in ("{", "["):
            try:
                content = json.loads(text)
            except ValueError:
                return self.text(text)
            cleared = self.value(content)
            return text if cleared == content else json.dumps(cleared, ensure_ascii=False)
        return self.text(text)

    def _object(self, fields: dict[str, Any]) -> dict[str, Any]:
        theirs = any(isinstance(value, str) and value in self.names for value in fields.values())
        result = {}
        for key, value in fields.items():
            if isinstance(value, dict) and (theirs or key in self.names):
                cleared: Any = {}
            elif theirs and isinstance(value, str) and value in self.values:
                cleared = BLANKED
            else:
                cleared = self.value(value)
            result[self.text(key)] = cleared
        return result


def _blank(line: str) -> str:
    return BLANKED + line[len(line.rstrip("\r\n")) :]
