"""What names a person in the files of a workspace that no service keeps: journals, notebooks, reports, logs, drafts."""

from __future__ import annotations

import codecs
import gzip
import json
import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, cast
from zipfile import BadZipFile, ZipFile, is_zipfile

from msgspec import Struct

from optinb.base.files import lock_newest, walk
from optinb.base.logs import is_log
from optinb.delivery.journal import TAIL, VERDICT_TAIL
from optinb.segments.group_nights import FOLDER as GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from optinb.base.erasing import ForgottenPerson

# What has a service of its own: tables, refused rows, lists and groups; deliveries, which are IT's.
KEPT_ELSEWHERE = ("inbox", "warehouse", "quarantine", "lists", GROUPS)
UNSAVED = "unsaved"  # the folder of what people are still writing
MIXES = "mixes"  # that of the shares of variants, which are of no use once a number of them is replaced
UNFINISHED = ".forgetting"
PERHAPS, SURELY = 1, 2


class Erased(Struct, frozen=True):
    """How many files were `rewritten`, and `left`: those that name the person still, and why."""

    rewritten: int
    left: tuple[str, ...]


def erase_files(root: Path, person: ForgottenPerson) -> Erased:
    """Rewrites every file that names a person, each whole or not at all; names those that can't be rewritten.

    Folders of the workspace may lie elsewhere: links in its root, in `runs` and in `audiences` are followed. What lies
    behind others may be anybody's: it is told, and neither read nor written.
    """
    rewritten, left, among_numbers = 0, [], person.also_as_numbers()
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        if path.is_dir():
            left.append(f"what lies in {name}, perhaps: it isn't looked at")
            continue
        them = person if _is_own(path) else among_numbers
        try:
            how = _naming(path, them)
            if how == SURELY and _is_followed(root, path):
                rewritten += _rewritten(path.resolve(), them)
                how = _naming(path, them)
            left += [f"the file {name}"] * (how == SURELY)
            left += [f"the file {name}, perhaps: a short id may be a count there"] * (how == PERHAPS)
        except OSError as error:
            left.append(f"the file {name}, perhaps: {error.strerror}")
        if person.is_in(name.replace("/", " ").replace(".", " ")):
            left.append(f"the name of the file {name}")
    return Erased(rewritten, tuple(left))


def _files(root: Path) -> Iterator[Path]:
    inside = root.resolve()

    def is_elsewhere(link: Path) -> bool:
        return not link.resolve().is_relative_to(inside)

    for path in walk(root, follows=lambda link: _is_followed(root, link) and is_elsewhere(link)):
        parts = path.relative_to(root).parts
        if parts[0] in KEPT_ELSEWHERE or (len(parts) == 1 and parts[0].startswith("state.sqlite")):
            continue
        if (path.is_symlink() and not is_elsewhere(path)) or not (path.is_file() or path.is_dir()):
            continue
        if path.name.endswith(UNFINISHED):
            path.unlink(missing_ok=True)  # what a killed run left
        elif not (parts[0] == "audiences" and path.suffix in (".parquet", ".draft", VERDICT_TAIL)):
            yield path


def _is_followed(root: Path, path: Path) -> bool:
    """Whether a file or folder is the workspace's own although it may lie elsewhere."""
    if not path.is_symlink():
        return True
    return path.parent in (root, root / "runs", root / "audiences") and path not in map(root.joinpath, KEPT_ELSEWHERE)


def _is_own(path: Path) -> bool:
    """Whether optinb wrote a file, in which a number is no id."""
    is_ours = path.name.endswith((TAIL, "summary.json", "audit-head.json", "sandbox.jsonl", ".result.json"))
    return is_ours or is_log(path) or path.parent.name == UNSAVED or path.parent.parent.name == MIXES


def _naming(path: Path, person: ForgottenPerson) -> int:
    """Whether a file names the person: SURELY, PERHAPS or not at all (0)."""
    suffix = _kind(path)
    if suffix == ".parquet":
        return _in_parquet(path, person)
    if suffix in _REWRITES:
        with path.open("rb") as file:
            parts, _ = _parts(file, whole=suffix in _WHOLE, errors="replace")
            return max((_in_part(part, suffix, path, person) for part in parts), default=0)
    if suffix == ".gz" or is_zipfile(path):  # a workbook is one
        return max((_in_words(text, person) for text in _unpacked(path)), default=0)
    with path.open("rb") as lines:
        found = (line.replace(b"\0", b"").decode(errors="replace") for line in lines if person.may_be_in(line))
        return SURELY * any(map(person.is_in, found))


def _unpacked(path: Path) -> Iterator[str]:
    """What is packed in a file, as far as it can be read."""
    with suppress(EOFError, gzip.BadGzipFile, BadZipFile, RuntimeError, NotImplementedError):
        if path.suffix.lower() == ".gz":
            with gzip.open(path, "rb") as packed:
                parts, _ = _parts(cast("IO[bytes]", packed), whole=False, errors="replace")
                yield from (part.decode(errors="replace") for part in parts)
        else:
            with ZipFile(path) as archive:
                yield from (archive.read(name).decode(errors="replace") for name in archive.namelist())


def _in_part(part: bytes, suffix: str, path: Path, person: ForgottenPerson) -> int:
    """Whether a document or a line names the person."""
    if not person.may_be_in(part):
        return 0
    if _REWRITES[suffix](part, person) != part:
        return SURELY
    with suppress(ValueError):
        content = json.loads(part)
        return PERHAPS * (not _is_own(path) and person.may_name(content))
    return _in_words(part.decode(errors="replace"), person)


def _in_words(text: str, person: ForgottenPerson) -> int:
    return SURELY if person.is_in(text) else PERHAPS * person.is_in(text, figures=True)


def _in_parquet(path: Path, person: ForgottenPerson) -> int:
    import polars as pl
    from polars import selectors

    def found(columns: pl.Expr, values: Sequence[str] | Sequence[float], dtype: type[pl.DataType]) -> bool:
        is_among = columns.cast(dtype).is_in(pl.Series(values, dtype=dtype).implode())
        row = pl.scan_parquet(path, glob=False).select(is_among.any()).collect()
        return row.width > 0 and any(row.row(0))

    texts, numbers = selectors.string() | selectors.categorical(), selectors.numeric()
    try:
        if found(texts, sorted(person.names), pl.String) or found(numbers, person.numerals(), pl.Float64):
            return SURELY
        return PERHAPS * found(numbers, person.numerals(figures=True), pl.Float64)
    except (OSError, pl.exceptions.PolarsError):
        return 0


def _rewritten(path: Path, person: ForgottenPerson) -> bool:
    """Rewrites a file, if it is of a kind that can be; whether that changed anything."""
    suffix = _kind(path)
    if suffix not in _REWRITES:
        return False
    draft = path.with_name(f".{path.name}{UNFINISHED}")
    # a network disk locks only what is open for writing; whoever appends waits, and then sees that there is another
    with lock_newest(path.open("r+b"), path, lambda: path.open("r+b")) as old:
        changed = False
        try:
            parts, encode = _parts(old, whole=suffix in _WHOLE)
            with draft.open("wb") as new:
                for part in parts:
                    after = _REWRITES[suffix](part, person) if person.may_be_in(part) else part
                    changed |= after != part
                    new.write(encode(after))
                new.flush()
                os.fsync(new.fileno())
            if changed:
                draft.replace(path)
        except UnicodeDecodeError:
            return False  # it is told as naming the person
        finally:
            draft.unlink(missing_ok=True)
    return changed


def _parts(file: IO[bytes], *, whole: bool, errors: str = "strict") -> tuple[Iterable[bytes], Callable[[bytes], bytes]]:
    """The lines of a file in UTF-8, or all of it, and how a part is written in the file's own encoding."""
    code = _encoding(file.read(4096))
    file.seek(0)
    if code is None:
        return ((file.read(),) if whole else file), bytes
    mark, text = "\ufeff", file.read().decode(code, errors)
    first = [mark.encode()] * text.startswith(mark)
    content = text.removeprefix(mark).encode()
    rest = [content] if whole else content.splitlines(keepends=True)
    return [*first, *rest], lambda part: part.decode().encode(code)


def _encoding(head: bytes) -> str | None:
    """UTF-16, as spreadsheets and PowerShell write it, by its mark or its zeros; None for what has ASCII as it is."""
    for mark, code in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if head.startswith(mark):
            return code
    half = len(head) // 2
    for first, code in ((1, "utf-16-le"), (0, "utf-16-be")):
        if half and head[first::2].count(0) > half / 2:
            return code
    return None


def _kind(path: Path) -> str:
    return TAIL if path.name.endswith(TAIL) else path.suffix.lower()


def _answers(line: bytes, person: ForgottenPerson) -> bytes:
    """A line of a file of answers: what Appboy said may name somebody; what was planned stays as the trail has it."""
    try:
        content = json.loads(line)
    except ValueError:
        return _lines(line, person)  # torn by a crash, which it stays
    if not isinstance(content, dict) or "states" not in content:
        return line
    return _in_place(line, content, content | {"states": person.value(content["states"])})


def _line(line: bytes, person: ForgottenPerson) -> bytes:
    """A line of a journal: a value of JSON, or else a line of text."""
    try:
        content = json.loads(line)
    except ValueError:
        return _lines(line, person)
    return _in_place(line, content, person.value(content))


def _in_place(line: bytes, content: Any, cleared: Any) -> bytes:
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
    TAIL: _answers,
    **dict.fromkeys((".html", ".htm", ".svg", ".xml"), _page),
}
_WHOLE = (".json", ".ipynb", ".html", ".htm", ".svg", ".xml")
