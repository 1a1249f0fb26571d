"""Notebooks without what running them left; the build, which has no other package, uses this too."""

from __future__ import annotations

import json
from typing import Any


def stripped(notebook: bytes) -> bytes:
    """A notebook without outputs, counts of executions, and whatever metadata its programs left in it.

    Raises ValueError for what is no notebook.
    """
    content = _parsed(notebook)
    for cell in content["cells"]:
        cell["metadata"] = {key: value for key, value in cell.get("metadata", {}).items() if key == "tags"}
        cell.pop("attachments", None)
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    kept = content.get("metadata", {})
    content["metadata"] = {
        "kernelspec": kept.get("kernelspec", {"display_name": "Python 3", "language": "python", "name": "python3"}),
        "language_info": {"name": "python"},
    }
    return (json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def sources(notebook: bytes) -> list[tuple[str, str]]:
    """Kind and text of each cell: what a person writes. Raises ValueError for what is no notebook."""
    return [(cell["cell_type"], "".join(cell["source"])) for cell in _parsed(notebook)["cells"]]


def _parsed(notebook: bytes) -> dict[str, Any]:
    content = json.loads(notebook)
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise ValueError("this is no notebook: it has no cells")
    return content
