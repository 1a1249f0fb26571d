"""Finds the files of a delivery and opens each as a DuckDB relation of text cells c0, c1, ….

Nothing outside the inbox is read, and a file's name is only ever a name.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from optinb.errors import DeliveryError
from optinb.warehouse import header_gates, settling
from optinb.warehouse.column_names import PLACE, ColumnNames
from optinb.warehouse.contract import MAX_NAME_LENGTH, TABLES
from optinb.warehouse.formats import BY_ENDING, CSV, DeliveredFile, FileName, OpenedFile, read_name, text_start
from optinb.warehouse.limits import MOST_UNPACKED_GB, UnreadableError, unpack

if TYPE_CHECKING:
    from optinb.warehouse.sql import Connection


def find_files(inbox: Path, folder: Path) -> tuple[list[DeliveredFile], list[str]]:
    """The files of a delivery in the order of the contract's tables, and warnings about what is ignored.

    Raises DeliveryError for a link that leads out of the inbox.
    """
    home = inbox.resolve()
    _inside(folder, home)
    found: list[DeliveredFile] = []
    warnings: list[str] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        _inside(path, home)
        name = read_name(path.name)
        if not path.is_file():
            warnings.append(f"{path.name} is ignored: it is not a file")
        elif name is None and settling.finished_name(path.name):
            continue  # a gate tells of it
        elif name is None:
            warnings.append(
                f"{path.name} is ignored: its name is none of the contract's; files are named "
                f"{', '.join(TABLES)}, with parts such as customers-1.csv"
            )
        else:
            found.append(DeliveredFile(path, name))
    order = list(TABLES)
    return sorted(found, key=lambda file: (order.index(file.table), file.path.name)), warnings


def digest(files: Sequence[DeliveredFile], *, context: str) -> str:
    """SHA-256 of names and contents of a delivery, and of whatever else decides what its rows mean (`context`)."""
    whole = hashlib.sha256(context.encode())
    for file in files:
        with file.path.open("rb") as stream:
            whole.update(f"\0{file.path.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}".encode())
    return whole.hexdigest()


def open_source(
    con: Connection,
    file: DeliveredFile,
    *,
    scratch: Path,
    plain: Path | None = None,
    names: ColumnNames | None = None,
    most_gb: float = MOST_UNPACKED_GB,
) -> OpenedFile:
    """Opens a delivered file, or an uncompressed copy of it; a gzip may become so many GB.

    `names` say what its headers mean.

    Raises UnreadableError, which says what to mend, if no row of it can be read.
    """
    plain = plain or _plain(file, scratch, most_gb=most_gb)
    if plain.stat().st_size == 0:
        raise UnreadableError("it is empty; write at least the header, or leave the file out")
    source = file.format.opens(con, file, plain)
    headers = source.columns
    source = replace(source, columns=(names or ColumnNames()).named(file.table, headers))
    named = [column for column in source.columns if column]
    odd = next((name for name in named if len(name) > MAX_NAME_LENGTH or "\0" in name), None)
    if odd is not None:
        raise UnreadableError(
            f"its header has a name that is none ({odd[:40]!r}…): at most {MAX_NAME_LENGTH} characters, and no NUL"
        )
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        alike = [header for header, name in zip(headers, source.columns, strict=True) if name == twice[0]]
        if len(set(alike)) > 1:
            raise UnreadableError(
                f"its header has both {' and '.join(map(repr, alike))}, which {PLACE} makes one column; keep one of "
                "them, or take the line out there"
            )
        raise UnreadableError(f"its header has {twice[0]!r} more than once; keep one of them")
    table = TABLES[file.table]
    missing = [column for column in table.required if column not in named]
    if missing and not file.format.objects:
        has = ", ".join(repr(name[:40]) for name in named[:12]) or "none"
        meant = header_gates.did_you_mean_column(named, missing[0], table)
        raise UnreadableError(f"its header has no column {missing[0]!r} (it has {has}); add it{meant}")
    return source


def with_plain_newlines(source: OpenedFile, *, scratch: Path) -> Path:
    """A copy of a text file whose lines all end alike, since a file that mixes line ends can't be read as it is."""
    target = scratch / f"{source.file.path.name}.newlines"
    with (
        source.plain.open(encoding="utf-8", errors="surrogateescape", newline=None) as mixed,
        target.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as out,
    ):
        shutil.copyfileobj(mixed, out, 1 << 20)
    return target


def _inside(path: Path, home: Path) -> None:
    real = path.resolve()
    if real != home and home not in real.parents:
        raise DeliveryError(
            f"{path.name} in the inbox is a link to {real}, outside the inbox, and is not followed; "
            "put the file itself there"
        )


def _plain(file: DeliveredFile, scratch: Path, *, most_gb: float) -> Path:
    """The file uncompressed; a gzip is unpacked first, since only its end says whether it is whole."""
    if not file.name.gzipped:
        return file.path
    target = scratch / f"{file.path.name}.plain"
    try:
        unpack(file.path, target, most_gb=most_gb)
    except EOFError as error:
        raise UnreadableError("its gzip ends too early: the transfer was cut; send the file again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableError(f"it is no valid gzip ({error}); send the file again") from error
    return target


def open_other(con: Connection, path: Path, *, scratch: Path) -> OpenedFile | Path:
    """Opens a file that is no table of a delivery, a list or codes, by what its name ends with, as deliveries are read.

    A text of JSON objects, one a line, is read as such whatever its name is: Appboy's exports are texts of that kind.
    Returns the uncompressed file, UTF-8 as far as its beginning tells, where it is a text of lines. Raises
    UnreadableError.
    """
    endings = [ending.lower().lstrip(".") for ending in path.suffixes]
    gzipped = endings[-1:] == ["gz"]
    ending = next(iter(endings[:-1][-1:] if gzipped else endings[-1:]), "")
    file = DeliveredFile(path, FileName("", BY_ENDING.get(ending, CSV), gzipped))
    plain = _plain(file, scratch, most_gb=MOST_UNPACKED_GB)
    if plain.stat().st_size == 0:
        raise UnreadableError("it is empty")
    if file.format.text:
        if asked := _as_jq(start := text_start(plain).strip()):
            kind = "txt" if asked.startswith("-r") else "ndjson"
            raise UnreadableError(
                f"it is one piece of JSON, and not an object a line; rewrite it, as jq {asked} {quote(path.name)} > "
                f"list.{kind} does, and give list.{kind}"
            )
        if file.format.delimited and not _is_object(start.split(b"\n", 1)[0]):
            return plain
        file = DeliveredFile(path, FileName("", BY_ENDING["ndjson"], gzipped))
    return file.format.opens(con, file, plain)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _as_jq(start: bytes) -> str:
    """What makes lines of objects or ids of a text that begins as one piece of JSON; "" for any other text."""
    first, _, rest = start.partition(b"\n")
    try:
        value = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # over several lines, or in one that is longer than what was read
        if first.strip() == b"[" or (not rest and first.startswith((b"[{", b'["'))):
            return "-r '.[]'" if rest.lstrip()[:1] == b'"' or first[1:2] == b'"' else "-c '.[]'"
        return "-c ." if first.strip() == b"{" else ""
    if isinstance(value, list):
        return "-r '.[]'" if value and isinstance(value[0], str) else "-c '.[]'"
    if isinstance(value, dict) and not rest:
        lists = [name for name, one in value.items() if isinstance(one, list) and one and isinstance(one[0], dict)]
        return f"-c '.{lists[0]}[]'" if len(lists) == 1 and lists[0].isidentifier() else ""
    return ""
