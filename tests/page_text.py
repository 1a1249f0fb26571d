"""What a person reads of a piece of HTML."""

from __future__ import annotations

import re
from html import unescape


def text_of(html: str | None) -> str:
    """The text between the tags, with single spaces; styles and scripts aren't read."""
    body = re.sub(r"</?dfn\b[^>]*>", "", html or "")  # a word that is explained goes on as it stands
    body = re.sub(r"<(style|script)\b.*?</\1>", " ", body, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
