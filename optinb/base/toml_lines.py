"""Where things stand in a TOML text: the standard parser keeps no positions."""

from __future__ import annotations

import re


def line_numbers(text: str) -> dict[str, int]:
    """Maps a path such as `app_groups[0].apps[1].id` to its 1-based line in a TOML text.

    Reads headers and keys only, which is all that a complaint needs.
    """
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    prefix = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*(\[\[?)\s*([\w.\-]+)\s*\]", line)
        if header:
            prefix = ""
            parts = header[2].split(".")
            for k, part in enumerate(parts):
                base = f"{prefix}.{part}" if prefix else part
                if header[1] == "[[" and k == len(parts) - 1:
                    counts[base] = counts.get(base, -1) + 1
                prefix = f"{base}[{counts[base]}]" if base in counts else base
            lines.setdefault(prefix, number)
            continue
        key = re.match(r"\s*([\w\-]+)\s*=", line)
        if key:
            lines.setdefault(f"{prefix}.{key[1]}" if prefix else key[1], number)
    return lines
