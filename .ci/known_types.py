"""Fails where a type checker of somebody who writes with optinb would have to guess a type.

What derives from a class of a library without types (a widget of ipywidgets, a server of Voilà) can't be known: such a
class, its members and what names it are let through, and nothing else is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COMMAND = ("pyright", "--verifytypes", "optinb", "--ignoreexternal", "--outputjson")


def reasons(symbol: dict[str, Any]) -> list[str]:
    """Why a type isn't known; none where that is said of another symbol."""
    return [" ".join(diagnostic["message"].split()) for diagnostic in symbol.get("diagnostics", ())]


def guessed(symbols: list[dict[str, Any]]) -> dict[str, str]:
    """By name, why a type would have to be guessed."""
    unknown = {
        symbol["name"]: reasons(symbol)
        for symbol in symbols
        if not symbol["isTypeKnown"] or symbol.get("isTypeAmbiguous")
    }
    untyped = {name for name, told in unknown.items() if any(re.match(r"Type of (base|meta) ?class", t) for t in told)}
    names = {name.rpartition(".")[2] for name in untyped}

    def excused(name: str, reason: str) -> bool:
        is_member = name in untyped or name.rpartition(".")[0] in untyped
        return is_member or bool(names.intersection(re.findall(r"\w+", reason)))

    found = {name: [reason for reason in told if not excused(name, reason)] for name, told in unknown.items()}
    return {name: told[0] for name, told in found.items() if told}


if __name__ == "__main__":
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # an editable install has no py.typed where pyright looks
        capture_output=True,
        text=True,
        check=False,
    )
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    if len(symbols) < 1_000:
        sys.exit(f"pyright has found {len(symbols)} symbols of optinb, so it didn't look at all of them")
    wrong = guessed(symbols)
    for name, reason in sorted(wrong.items()):
        print(f"{name}: {reason}", file=sys.stderr)
    sys.exit(1 if wrong else 0)
