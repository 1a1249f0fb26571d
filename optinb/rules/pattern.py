r"""Patterns for texts: a part of the language of regular expressions that means the same, and is fast, in every engine.

A pattern is looked for anywhere in the text; `^` and `$` tie it to the beginning and the end. It knows characters,
`.` (any but a line break), classes such as `[a-z0-9]` and `[^@]`, `\d` `\w` `\s` (of ASCII) and their opposites,
groups, `|`, and the repetitions `?` `*` `+` `{n}` `{n,}` `{n,m}`. Case matters.

Polars and DuckDB take time proportional to the text for any pattern, but Spark and Python try alternatives one by one,
which can take exponential time. So nothing is understood here that could match one text in many ways:

* a repetition contains no repetition, and the alternatives in it begin with different characters;
* between two endless repetitions that can take the same character stands one that the first of them can't take;
* the alternatives, and the times that a bounded repetition may happen, multiply to at most MAX_WAYS.
"""

from __future__ import annotations

import math
import string
from typing import Literal

from msgspec import Struct

MAX_LENGTH = 200
MAX_COUNT = 100
MAX_WAYS = 256
_LAST = 0x10FFFF
_DIGITS = ((48, 57),)
_WORD = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE = ((9, 13), (32, 32))
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11}
_REFUSED = {"b": "a word boundary", "B": "a word boundary", "A": "\\A (write ^)", "Z": "\\Z (write $)"}

Ranges = tuple[tuple[int, int], ...]


class Chars(Struct, frozen=True):
    """One character out of sorted ranges of code points."""

    ranges: Ranges


class Edge(Struct, frozen=True):
    """The beginning or the end of the text."""

    at: Literal["begin", "end"]


class Sequence(Struct, frozen=True):
    """One after another."""

    parts: tuple[Part, ...]


class Choice(Struct, frozen=True):
    """One of several."""

    parts: tuple[Part, ...]


class Repeat(Struct, frozen=True):
    """So many times; `most` is None for any number."""

    part: Part
    least: int
    most: int | None


Part = Chars | Edge | Sequence | Choice | Repeat


def engine_form(pattern: str) -> str:
    """The pattern as Polars (Rust), DuckDB (RE2) and Spark (Java) read it, each with the same meaning."""
    return _render(read_pattern(pattern), begin="^", end=r"\z", code=r"\x{{{:x}}}")


def python_form(pattern: str) -> str:
    """The pattern as Python's `re.search` reads it."""
    return _render(read_pattern(pattern), begin=r"\A", end=r"\Z", code=r"\U{:08x}")


def read_pattern(pattern: str) -> Part:
    """The tree of a pattern.

    Raises ValueError with the remedy for a pattern that isn't understood or could take exponential time.
    """
    if not pattern:
        raise ValueError("an empty pattern fits every text; use is_known()")
    if any(0xD800 <= ord(sign) <= 0xDFFF for sign in pattern):
        raise ValueError(f"the pattern {pattern!r} holds half a character; write the whole one")
    if len(pattern) > MAX_LENGTH:
        raise ValueError(f"the pattern has {len(pattern)} characters; at most {MAX_LENGTH} are read")
    reader = _Reader(pattern)
    tree = reader.choice()
    if reader.at < len(pattern):
        reader.refuse("a ) closes nothing; write \\) for the character")
    _check(tree, (), pattern)
    if _ways(tree) > MAX_WAYS:
        raise ValueError(
            f"the pattern {pattern!r} could take exponential time: its alternatives multiply to more than {MAX_WAYS}; "
            "use several conditions"
        )
    return tree


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at, self.depth = pattern, 0, 0

    def refuse(self, why: str) -> None:
        raise ValueError(f"the pattern {self.pattern!r} can't be used, at character {self.at + 1}: {why}")

    def peek(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def take(self, text: str) -> bool:
        found = self.peek(text)
        self.at += len(text) if found else 0
        return found

    def next(self, waiting_for: str) -> str:
        if self.at >= len(self.pattern):
            self.refuse(f"it ends where {waiting_for} should come")
        self.at += 1
        return self.pattern[self.at - 1]

    def choice(self) -> Part:
        parts = [self.sequence()]
        while self.take("|"):
            parts.append(self.sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def sequence(self) -> Part:
        parts = []
        while self.at < len(self.pattern) and not self.peek("|") and not self.peek(")"):
            parts.append(self.repeated(self.atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def atom(self) -> Part:
        if self.take("("):
            return self.group()
        if self.take("["):
            return self.set()
        if self.take("\\"):
            return Chars(self.escaped())
        sign = self.pattern[self.at]
        if sign in "*+?{}]":
            self.refuse(f"{sign} has nothing to repeat; write \\{sign} for the sign")
        self.at += 1
        return _ATOMS.get(sign) or Chars(_one(sign))

    def group(self) -> Part:
        if self.peek("?") and not self.take("?:"):
            self.refuse("look-around, flags and named groups are not understood; use plain ( )")
        self.depth += 1
        if self.depth > 20:
            self.refuse("groups are nested deeper than 20 levels; flatten them")
        inner = self.choice()
        if not self.take(")"):
            self.refuse("a ( is never closed; write \\( for the character")
        self.depth -= 1
        return inner

    def set(self) -> Part:
        negated = self.take("^")
        ranges: list[tuple[int, int]] = []
        while not self.take("]"):
            first = self.member()
            if self.peek("-") and not self.peek("-]"):
                self.at += 1
                last = self.member()
                begin, end = _merge([*first]), _merge([*last])
                first = ((begin[0][0], end[-1][1]),)
                if begin[0][0] != begin[-1][1] or end[0][0] != end[-1][1] or end[0][0] < begin[0][0]:
                    self.refuse("a range goes from one character up to another, such as a-z")
            ranges.extend(first)
        if not ranges:
            self.refuse("an empty class fits no character")
        taken = _opposite(_merge(ranges)) if negated else _merge(ranges)
        if not taken:
            self.refuse("the opposite of every character fits none")
        return Chars(taken)

    def member(self) -> Ranges:
        sign = self.next("] to close the class")
        if sign == "[":
            self.refuse("write \\[ for the character; classes in classes are not understood")
        return self.escaped() if sign == "\\" else _one(sign)

    def escaped(self) -> Ranges:
        sign = self.next("a character after \\")
        if sign.lower() in _CLASSES:
            known = _CLASSES[sign.lower()]
            return _opposite(known) if sign.isupper() else known
        if sign in _CONTROLS:
            return ((_CONTROLS[sign], _CONTROLS[sign]),)
        if sign.isdigit() or sign == "k":
            self.refuse("back-references are not understood; no engine but one could follow them fast")
        if sign.isalnum():
            self.refuse(f"{_REFUSED.get(sign, chr(92) + sign)} is not understood")
        return _one(sign)

    def repeated(self, part: Part) -> Part:
        if self.at >= len(self.pattern) or self.pattern[self.at] not in "*+?{":
            return part
        if isinstance(part, Edge):
            self.refuse("the beginning or end of a text can't be repeated")
        least, most = self.times()
        if self.at < len(self.pattern) and self.pattern[self.at] in "*+?{":
            self.refuse("a repetition of a repetition (also lazy or possessive) is not understood; repeat once")
        return Repeat(part, least, most)

    def times(self) -> tuple[int, int | None]:
        for sign, times in {"*": (0, None), "+": (1, None), "?": (0, 1)}.items():
            if self.take(sign):
                return times
        end = self.pattern.find("}", self.at)
        least, comma, most = self.pattern[self.at + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not (least.isascii() and least.isdigit()) or (most and not (most.isascii() and most.isdigit())):
            self.refuse("a count is written as {3}, {3,} or {3,5}; write \\{ for the character")
        counts = (int(least), int(most) if most else None if comma else int(least))
        if counts[0] > MAX_COUNT or (counts[1] or 0) > MAX_COUNT:
            self.refuse(f"a count is at most {MAX_COUNT}")
        if counts[1] is not None and not 0 < counts[1] >= counts[0]:
            self.refuse("a count goes from the smaller number to the larger, and up to 1 at least")
        self.at = end + 1
        return counts


_ATOMS = {".": Chars(((0, 9), (11, _LAST))), "^": Edge("begin"), "$": Edge("end")}


def _check(part: Part, open_: tuple[Ranges, ...], pattern: str) -> tuple[Ranges, ...]:
    """Refuses what could match in many ways; `open_` are the repetitions that could still take the next character."""
    match part:
        case Edge():
            return open_
        case Chars(ranges):
            return tuple(o for o in open_ if _overlap(o, ranges))
        case Sequence(parts):
            for one in parts:
                open_ = _check(one, open_, pattern)
            return open_
        case Choice(parts):
            return tuple(dict.fromkeys(left for one in parts for left in _check(one, open_, pattern)))
        case Repeat(inner, least, most):
            _check_repeated(inner, pattern)
            taken = _taken(inner)
            still = tuple(o for o in open_ if _overlap(o, taken))
            if most is None and still:
                raise ValueError(
                    f"the pattern {pattern!r} could take very long: two of its endless repetitions can take the "
                    "same characters; put a character between them that the first can't take, or use two conditions"
                )
            kept = still if least else open_
            return (*kept, taken) if most is None else kept


def _check_repeated(part: Part, pattern: str) -> None:
    waiting = [part]
    while waiting:
        one = waiting.pop()
        match one:
            case Repeat():
                raise ValueError(
                    f"the pattern {pattern!r} could take exponential time: it repeats a repetition; repeat only one of "
                    "them"
                )
            case Edge():
                raise ValueError(f"the pattern {pattern!r} repeats the beginning or end of the text; leave it out")
            case Sequence(()):
                raise ValueError(f"the pattern {pattern!r} repeats nothing; leave it out")
            case Sequence(parts):
                waiting.extend(parts)
            case Choice(parts):
                begins = [_taken(p, first=True) for p in parts]
                if any(_overlap(a, b) for i, a in enumerate(begins) for b in begins[i + 1 :]):
                    raise ValueError(
                        f"the pattern {pattern!r} could take exponential time: two alternatives that are repeated "
                        "begin alike; write what they share once, before the alternatives"
                    )
                waiting.extend(parts)
            case Chars():
                pass


def _taken(part: Part, *, first: bool = False) -> Ranges:
    """Every character that a part can take, or the first one of a part without repetitions can be."""
    match part:
        case Chars(ranges):
            return ranges
        case Sequence(parts) if first:
            return _taken(parts[0], first=True) if parts else ()
        case Sequence(parts) | Choice(parts):
            return _merge([r for p in parts for r in _taken(p, first=first)])
        case Repeat(inner):
            return () if first else _taken(inner)
        case Edge():
            return ()


def _ways(part: Part) -> int:
    match part:
        case Sequence(parts):
            return math.prod(map(_ways, parts))
        case Choice(parts):
            return sum(map(_ways, parts))
        case Repeat(_, least, int(most)):
            return most - least + 1
        case _:
            return 1


def _one(sign: str) -> Ranges:
    return ((ord(sign), ord(sign)),)


def _merge(ranges: list[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _opposite(ranges: Ranges) -> Ranges:
    edges = [-1, *(edge for pair in ranges for edge in pair), _LAST + 1]
    return tuple((edges[i] + 1, edges[i + 1] - 1) for i in range(0, len(edges), 2) if edges[i] + 1 <= edges[i + 1] - 1)


def _overlap(a: Ranges, b: Ranges) -> bool:
    return any(first <= b_last and b_first <= last for first, last in a for b_first, b_last in b)


def _render(part: Part, *, begin: str, end: str, code: str) -> str:
    def sign(point: int) -> str:
        plain = chr(point)
        if plain.isascii() and plain.isalnum():
            return plain
        return "\\" + plain if plain in string.punctuation and plain not in "<>_" else code.format(point)

    def write(part: Part) -> str:
        match part:
            case Chars(((first, last),)) if first == last:
                return sign(first)
            case Chars(ranges):
                # a class that reaches to the last character is the opposite of a shorter one
                negated = ranges[-1][1] == _LAST
                shown = _opposite(ranges) if negated else ranges
                inside = "".join(sign(a) if a == b else f"{sign(a)}-{sign(b)}" for a, b in shown)
                return f"[{'^' if negated else ''}{inside}]" if shown else r"[\s\S]"
            case Edge(at):
                return begin if at == "begin" else end
            case Sequence(parts):
                return "".join(map(write, parts))
            case Choice(parts):
                return "(?:" + "|".join(map(write, parts)) + ")"
            case Repeat(inner, least, most):
                times = f"{{{least},{'' if most is None else most}}}" if least != most else f"{{{least}}}"
                return f"(?:{write(inner)}){times}"

    return write(part)
