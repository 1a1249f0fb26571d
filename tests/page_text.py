"""What a person reads of a piece of HTML."""

from __future__ import annotations

import re
from html import unescape


def text_of(html: str | None) -> str:
    """The text between the tags, with single spaces; styles and scripts aren't read."""
    body = re.sub(r"<(style|script)\b.*?</\1>", " ", html or "", flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
