"""Taking what names a person out of texts: JSON, notebooks, pages and lines. Pure: whoever calls reads and writes.

A name is found as a whole word: `C1` isn't in `C10`. Where a record names the person, what it holds of them goes too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from functools import cached_property
from html import escape
from typing import Any

BLANKED = "(removed: a customer was forgotten)"
# In a text that people read such a number may be a count or a year as well as an id, and counts stay.
_FIGURE = re.compile(r"\d{1,4}")
# Under these a number is an id, however short; elsewhere a number is one where it can't be a count or a year.
_ID_KEYS = frozenset({"customer_id", "external_user_id", "external_id", "user_id"})
# Numbers of notebooks that nobody chose.
_COUNTED = frozenset({"execution_count", "nbformat", "nbformat_minor", "version_major", "version_minor"})
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
        numbers: whether a number of JSON may be an id; what optinb writes has ids as texts, and counts as numbers.
    """

    def __init__(
        self, names: Collection[str], *, values: Collection[str] = (), stand_in: str, numbers: bool = False
    ) -> None:
        self.names: frozenset[str] = frozenset(names) - {""}
        self.values: frozenset[str] = frozenset(values)
        self.stand_in = stand_in
        self.numbers = numbers

    def also_as_numbers(self) -> ForgottenPerson:
        """The same person, whom numbers may name, too."""
        return ForgottenPerson(self.names, values=self.values, stand_in=self.stand_in, numbers=True)

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """The names as they stand in plain text, in HTML and in JSON, the longest first."""
        found = {how(name) for name in self.names for how in (str, escape)}
        found |= {json.dumps(name, ensure_ascii=ascii)[1:-1] for name in found for ascii in (True, False)}
        return tuple(sorted(found, key=lambda name: (-len(name), name)))

    @cached_property
    def _word(self) -> re.Pattern[str]:
        return _words(name for name in self.spellings if not _FIGURE.fullmatch(name))

    @cached_property
    def _any_word(self) -> re.Pattern[str]:
        return _words(self.spellings)

    @cached_property
    def _quoted(self) -> re.Pattern[str]:
        figures = "|".join(name for name in self.spellings if _FIGURE.fullmatch(name))
        return re.compile(rf"(?<=[\"'])(?:{figures})(?=[\"'])" if figures else r"(?!)")

    def may_be_in(self, content: bytes) -> bool:
        """Whether bytes hold a name at all, be it as a part of a longer one."""
        codes = ("utf-8", "utf-16-le", "utf-16-be")
        return any(name.encode(code) in content for name in self.spellings for code in codes)

    def may_name(self, value: Any) -> bool:
        """Whether a value of JSON names the person, be it by a word or a number that may be a count."""
        match value:
            case str():
                return self.is_in(value, figures=True)
            case list():
                return any(map(self.may_name, value))
            case dict():
                chosen = ((k, v) for k, v in value.items() if k not in _COUNTED and not k.startswith("image/"))
                return any(self.may_name(key) or self.may_name(one) for key, one in chosen)
            case _:
                return self._is_number(value, figures=True)

    def numerals(self, *, figures: bool = False) -> list[float]:
        """The names that are whole numbers: those that can't be counts, or the `figures`."""
        numbers = [name for name in self.names if name.isdecimal() and str(int(name)) == name]
        return sorted(float(name) for name in numbers if bool(_FIGURE.fullmatch(name)) == figures)

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
                return self.stand_in if self.numbers and self._is_number(value) else value

    def notebook(self, content: dict[str, Any]) -> dict[str, Any]:
        """A notebook without the outputs and saved widgets that name the person, and without the names elsewhere."""
        result = self.value({key: value for key, value in content.items() if key != "cells"})
        for kind, state in dict(result.get("metadata", {}).get("widgets", {})).items():
            if state != content["metadata"]["widgets"][kind]:
                del result["metadata"]["widgets"][kind]
        return {"cells": [self._cell(cell) for cell in content["cells"]], **result}

    def _cell(self, cell: dict[str, Any]) -> dict[str, Any]:
        gone = {"output_type": "stream", "name": "stdout", "text": [BLANKED]}
        source = self._source(cell.get("source", ""))
        is_about_them = source != cell.get("source", "")
        outputs = [
            gone if self.value(one) != one or (is_about_them and self.may_name(one)) else one
            for one in cell.get("outputs", ())
        ]
        cleared = self.value({**cell, "outputs": []} if outputs else cell) | ({"outputs": outputs} if outputs else {})
        return cleared | ({"source": source} if is_about_them else {})

    def _source(self, source: Any) -> Any:
        """The text of a cell, in which a short id in quotes is one."""
        if isinstance(source, list):
            return [self._source(line) for line in source]
        return self._quoted.sub(self.stand_in, self.value(source)) if isinstance(source, str) else source

    def _is_number(self, value: Any, *, figures: bool = False) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        text = str(int(value) if isinstance(value, float) and value.is_integer() else value)
        return text in self.names and (figures or not _FIGURE.fullmatch(text))

    def _is_theirs(self, key: str, value: Any) -> bool:
        """Whether a field of a record names the person."""
        if isinstance(value, str):
            return value in self.names
        is_id = key.strip().casefold() in _ID_KEYS
        return (is_id or self.numbers) and self._is_number(value, figures=is_id)

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
        theirs = any(self._is_theirs(key, value) for key, value in fields.items())
        result = {}
        for key, value in fields.items():
            if isinstance(value, dict) and (theirs or key in self.names):
                cleared: Any = {}
            elif theirs and isinstance(value, str) and value in self.values:
                cleared = BLANKED
            elif not isinstance(value, str) and self._is_theirs(key, value):
                cleared = self.stand_in
            else:
                cleared = self.value(value)
            result[self.text(key)] = cleared
        return result


def _words(names: Iterable[str]) -> re.Pattern[str]:
    """Any of some names as a whole word; a column of whole numbers may have been written with a decimal place."""
    words = "|".join(re.escape(name) + (r"(?:\.0+)?" if name.isdecimal() else "") for name in names)
    return re.compile(f"{_BEFORE}(?:{words}){_AFTER}" if words else r"(?!)")


def _blank(line: str) -> str:
    return BLANKED + line[len(line.rstrip("\r\n")) :]
