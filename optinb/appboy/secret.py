"""The key: read once, shown by nobody."""

from __future__ import annotations

import re
from collections.abc import Callable

from optinb.base.settings import read_secret
from optinb.errors import SettingsError

MIN_REDACTED = 6  # a shorter text is no key, and may stand in any word of an answer
SHOWN = "[key]"


class Secret(str):
    """A text that a debugger, or a traceback that lists local variables, doesn't show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return SHOWN


def read_key(reference: str) -> Secret:
    """The key behind a reference of the settings. Raises SettingsError where there is none, or none that can be one."""
    key = Secret(read_secret(reference))
    if not re.fullmatch(r"[!-~]+", key) or key[0] in "'\"":
        raise SettingsError(f"the key behind {reference!r} has quotes, spaces or unusual characters; store it bare")
    return key


def redactor(key: Secret) -> Callable[[bytes], bytes]:
    """What takes a key out of an answer, however JSON, a URL or a web page has written its signs."""
    if len(key) < MIN_REDACTED:
        return lambda body: body
    pattern = re.compile("".join(map(_written, key)).encode(), re.IGNORECASE)
    return lambda body: pattern.sub(SHOWN.encode(), body)


def _written(sign: str) -> str:
    if sign.isalnum():
        return sign
    code = ord(sign)
    return rf"(?:\\?{re.escape(sign)}|\\u00{code:02x}|%{code:02x}|&\#0*{code};|&\#x0*{code:x};|&(?:amp|lt|gt|quot);)"


def without_frames(error: BaseException) -> BaseException:
    """An error of the HTTP library as a cause to tell of: its frames, and those of what caused it, hold the key."""
    part: BaseException | None = error
    seen: set[int] = set()
    while part is not None and id(part) not in seen:
        seen.add(id(part))
        part.__traceback__ = None
        part = part.__cause__ or part.__context__
    return error
