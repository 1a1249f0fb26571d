"""Names of the people who work with campaigns: when two of them are one person. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import category, normalize

# Signs without any look that Unicode doesn't count among its format characters: fillers, joiners, variation selectors.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def folded(name: str) -> str:
    """A name as it counts: composed (NFKC), whatever its case, without what can't be seen and spaces around.

    "A second person must" is kept by comparing these: `Anna`, `anna ` and a composed or invisible variant are one. It
    only ever forbids: what a name permits, it permits to the letter.
    """
    seen = _UNSEEN.sub("", "".join(sign for sign in normalize("NFD", name) if category(sign) not in ("Cc", "Cf")))
    # folding the case can take a composition apart, and composing can bring a capital back (Unicode 3.13, D147)
    once = normalize("NFKC", seen.casefold())
    return " ".join(normalize("NFKC", once.casefold()).split())


def same_person(one: str, other: str) -> bool:
    """Whether two names are of one person."""
    return folded(one) == folded(other)


def is_among(name: str, names: Iterable[str]) -> bool:
    """Whether a person is one of those who are named."""
    return any(same_person(name, other) for other in names)
