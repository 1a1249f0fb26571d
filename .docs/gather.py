"""Has mkdocs take the guides and the README from where they lie, so that no copy of them is kept."""

from __future__ import annotations

import posixpath
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
SOURCES = {"README.md": "index.md"}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
CLASS = re.compile(r"^::: ([A-Z]\w+)$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the README as the first page, each guide, and the pictures that they show."""
    from mkdocs.structure.files import File  # tests use what is below without it

    SOURCES.update(
        {
            path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "notebooks").as_posix()
            for path in (ROOT / "notebooks" / "guides").rglob("*")
            if path.suffix in (".md", ".png", ".svg")
        }
    )
    for source, page in SOURCES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


@cache
def classes() -> dict[str, list[str]]:
    """The classes of optinb by their names, each with its module."""
    found: dict[str, list[str]] = {}
    for path in (ROOT / "optinb").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for name in re.findall(r"^class (\w+)", path.read_text("utf-8"), re.MULTILINE):
            found.setdefault(name, []).append(f"{module}.{name}")
    return found


def place(name: str) -> str:
    """The module and name of a public class, which no other has; a reference needn't know where it has moved to."""
    (found,) = classes().get(name, ())
    return found


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Points links of the README and of guides at their pages; of a file that is no page, the path stays."""
    source = {made: name for name, made in SOURCES.items()}.get(page.file.src_uri)
    if source is None:
        return CLASS.sub(lambda match: f"::: {place(match[1])}", markdown)

    def linked(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        if not (ROOT / target).exists():
            return match[0]  # which the strict build refuses
        if target in SOURCES:
            return posixpath.relpath(SOURCES[target], posixpath.dirname(page.file.src_uri) or ".")
        return f"#{target}"

    return LINK.sub(linked, markdown)
