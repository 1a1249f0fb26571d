"""How Liquid's tags, and Appboy's `${name}` in them, look in a text; told without python-liquid, which loads slowly."""

from __future__ import annotations

import re

from msgspec import Struct

TRIGGER = "api_trigger_properties"
IN_TAGS = re.compile(r"\{\{.*?\}\}(?!\})|\{%.*?%\}", re.DOTALL)
DOLLAR = re.compile(r"(?:(?P<of>[\w\]'\"]+)\.)?\$\{\s*(?P<name>[^{}]+?)\s*\}")


class Needed(Struct, frozen=True):
    """A trigger property that a text uses; `has_default` if the text reads well without it."""

    name: str
    has_default: bool
