"""Whether an answer is the answer to its own request, as far as its headers and ids tell.

HTTP/1.1 ties answers to requests by nothing but their order on a connection. A proxy that writes one twice, or gives
an old one again, puts a sender out of step: a success that belongs to another batch, or a "come later" although the
batch was taken. Of two answers with the same id the first is believed, because it was read in its turn; the second is
the copy, and stands in the place of an answer that nobody has read. What was accepted by the first stays accepted.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid", "x-amz-cf-id", "cf-ray")
CACHES = ("x-cache", "x-cache-status", "cf-cache-status", "x-proxy-cache")
_CACHED = re.compile(r"(?<![a-z])(refresh)?(hit|stale|updating|revalidated)(?![a-z])")
GENERATION = 250_000  # ids; a night of a million customers has 60,000
_ASK_IT = "so nobody knows what became of this request; ask IT about the proxy between this machine and Appboy"


class _AnswerIds(Struct, frozen=True):
    dispatch_id: str | None = None
    schedule_id: str | None = None


class SeenIds:
    """The ids that answers have borne, for the threads and clients of an app group; the newest are kept, not all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: set[int] = set()
        self._old: set[int] = set()

    def claim(self, ids: Iterable[str]) -> bool:
        """Keeps ids; False if one of them was there already."""
        # hashes take a third of the room, and two of a million share one once in tens of millions of nights
        numbers = {hash(text) for text in ids}
        with self._lock:
            is_first = self._new.isdisjoint(numbers) and self._old.isdisjoint(numbers)
            self._new |= numbers
            if len(self._new) > GENERATION:
                self._old, self._new = self._new, set()
        return is_first


_SEEN: defaultdict[tuple[str, str], SeenIds] = defaultdict(SeenIds)
_SEEN_LOCK = threading.Lock()


def seen_of(api: str, app_group_id: str) -> SeenIds:
    """What was seen in this process of an app group's answers, by any client."""
    with _SEEN_LOCK:
        return _SEEN[api, app_group_id]


def ids_of(headers: Mapping[str, str], body: bytes, *, asked: str | None = None) -> frozenset[str]:
    """The ids that an answer bears and no other may; not of the schedule that was asked about."""
    found = {f"{name} {headers[name].strip()}" for name in REQUEST_IDS if headers.get(name, "").strip()}
    try:
        named = msgspec.json.decode(body, type=_AnswerIds)
    except msgspec.DecodeError:
        return frozenset(found)
    found |= {text for text in (named.dispatch_id, named.schedule_id) if text and text != asked}
    return frozenset(found)


def why_from_cache(headers: Mapping[str, str]) -> str | None:
    """Why an answer is one that was given before, by what caches write into it; None for one that is fresh."""
    if any(int(number) > 0 for number in re.findall(r"\d{1,9}", headers.get("age", ""))):
        return f"the answer has an Age, so it was given before, {_ASK_IT}"
    for name in CACHES:
        if _CACHED.search(headers.get(name, "").casefold()):
            return f"the answer comes out of a cache, as its {name} says, {_ASK_IT}"
    return None


def why_not_tied(headers: Mapping[str, str], ids: Iterable[str], seen: SeenIds, *, left: bool) -> str | None:
    """Why an answer may be another request's, or None; `left`: bytes came after it. Keeps its ids as seen."""
    is_first = seen.claim(ids)
    if left:
        return f"more came after the answer than belongs to it, {_ASK_IT}"
    if not is_first:
        return f"the answer was given before (its id repeats), {_ASK_IT}"
    return why_from_cache(headers)
