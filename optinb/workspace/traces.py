"""What names a person in the files of a workspace that no service keeps: journals, notebooks, reports, logs, drafts."""

from __future__ import annotations

import gzip
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile, is_zipfile

from msgspec import Struct

from optinb.files import lock_newest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from optinb.erasing import ForgottenPerson

# What has a service of its own: tables, refused rows and lists; deliveries, which are IT's.
KEPT_ELSEWHERE = ("inbox", "warehouse", "quarantine", "lists")
UNFINISHED = ".forgetting"


class Erased(Struct, frozen=True):
    """How many files were `rewritten`, and `left`: those that name the person still, and why."""

    rewritten: int
    left: tuple[str, ...]


def erase_files(root: Path, person: ForgottenPerson) -> Erased:
    """Rewrites every file that names a person, each whole or not at all; names those that can't be rewritten."""
    rewritten, left = 0, []
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        try:
            if _named(path, person):
                done = _rewritten(path, person)
                rewritten += done
                if not done or _named(path, person):
                    left.append(f"the file {name}")
        except OSError as error:
            left.append(f"the file {name}, perhaps: {error.strerror}")
        if person.is_in(name.replace("/", " ").replace(".", " ")):
            left.append(f"the name of the file {name}")
    return Erased(rewritten, tuple(left))


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if parts[0] in KEPT_ELSEWHERE or (len(parts) == 1 and parts[0].startswith("state.sqlite")):
            continue
        if path.is_symlink() or not path.is_file():
            continue
        if path.name.endswith(UNFINISHED):
            path.unlink(missing_ok=True)  # what a killed run left
        elif not (parts[0] == "audiences" and path.suffix in (".parquet", ".draft")):
            yield path


def _named(path: Path, person: ForgottenPerson) -> bool:
    """Whether a file names the person."""
    match path.suffix.lower():
        case ".parquet":
            return _in_parquet(path, person)
        case ".gz":
            with (
                suppress(EOFError, gzip.BadGzipFile),
                gzip.open(path, "rt", errors="replace") as text,
            ):
                return any(person.is_in(line, figures=True) for line in text)
            return False
        case ".json" | ".ipynb":
            content = path.read_bytes()
            with suppress(ValueError):
                parsed = json.loads(content)
                return person.value(parsed) != parsed
            return person.is_in(content.decode(errors="replace"))
        case ".jsonl" | ".ndjson":
            with path.open("rb") as lines:
                return any(person.may_be_in(line) and _line(line, person) != line for line in lines)
        case suffix if suffix in _REWRITES:
            with path.open(encoding="utf-8", errors="replace") as text:
                return any(person.is_in(line, figures=True) for line in text)
        case _ if is_zipfile(path):  # a workbook is one
            with suppress(BadZipFile, RuntimeError, NotImplementedError), ZipFile(path) as archive:
                members = (archive.read(name).decode(errors="replace") for name in archive.namelist())
                return any(person.is_in(member, figures=True) for member in members)
            return False
        case _:
            with path.open("rb") as lines:
                return any(
                    person.may_be_in(line) and person.is_in(line.replace(b"\0", b"").decode(errors="replace"))
                    for line in lines
                )


def _in_parquet(path: Path, person: ForgottenPerson) -> bool:
    import polars as pl

    try:
        texts = pl.scan_parquet(path, glob=False).select(pl.col(pl.String).is_in(list(person.names)).any())
        return any(texts.collect().row(0)) if texts.collect_schema() else False
    except (OSError, pl.exceptions.PolarsError):
        return False


def _rewritten(path: Path, person: ForgottenPerson) -> bool:
    """Rewrites a file, if it is of a kind that can be; whether that changed anything."""
    rewrite = _REWRITES.get(path.suffix.lower())
    if rewrite is None:
        return False
    draft = path.with_name(f".{path.name}{UNFINISHED}")
    # a network disk locks only what is open for writing; whoever appends waits, and then sees that there is another
    with lock_newest(path.open("r+b"), path, lambda: path.open("r+b")) as old:
        changed = False
        try:
            with draft.open("wb") as new:
                for part in old if rewrite is _line else (old.read(),):
                    after = rewrite(part, person) if person.may_be_in(part) else part
                    changed |= after != part
                    new.write(after)
                new.flush()
                os.fsync(new.fileno())
            if changed:
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return changed


def _line(line: bytes, person: ForgottenPerson) -> bytes:
    """A line of a journal: a value of JSON, or else a line of text."""
    try:
        content = json.loads(line)
    except ValueError:
        return _lines(line, person)
    cleared = person.value(content)
    if cleared == content:
        return line
    return json.dumps(cleared, ensure_ascii=False, separators=(",", ":")).encode() + line[len(line.rstrip(b"\r\n")) :]


def _document(content: bytes, person: ForgottenPerson) -> bytes:
    try:
        parsed = json.loads(content)
    except ValueError:
        return _lines(content, person)
    is_notebook = isinstance(parsed, dict) and isinstance(parsed.get("cells"), list) and "nbformat" in parsed
    cleared = person.notebook(parsed) if is_notebook else person.value(parsed)
    indent = 1 if is_notebook else 2 if b"\n" in content.strip() else None
    return content if cleared == parsed else json.dumps(cleared, ensure_ascii=False, indent=indent).encode()


def _page(content: bytes, person: ForgottenPerson) -> bytes:
    return person.page(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def _lines(content: bytes, person: ForgottenPerson) -> bytes:
    return person.lines(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")


_REWRITES: dict[str, Callable[[bytes, ForgottenPerson], bytes]] = {
    **dict.fromkeys((".json", ".ipynb"), _document),
    **dict.fromkeys((".jsonl", ".ndjson", ".log", ".txt", ".csv", ".tsv", ".md"), _line),
    **dict.fromkeys((".html", ".htm", ".svg", ".xml"), _page),
}
