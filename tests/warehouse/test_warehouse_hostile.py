"""Files that are made to hurt, or that a broken program writes: refused in a sentence, within bounded memory."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_deliveries import DAY, NOW, Folder, settings

from optinb.warehouse import limits
from optinb.warehouse.limits import UnreadableError, refuse_long_lines, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# With what Python and its libraries take. A file of a gigabyte takes no more than one of a megabyte.
MOST_MB = 700
MB = 1 << 20
EVENT = {"customer_id": "007", "occurred_at": "2026-11-22T09:00:00Z", "name": "open"}
SALES = b"transaction_id,customer_id,occurred_at,amount\nt1,007,2026-11-20,1\n"
IMPORT = """
import json, sys
from datetime import date, datetime
from pathlib import Path
import msgspec
from optinb.errors import OptinbError
from optinb.base.settings import Settings
from optinb.warehouse import Warehouse
warehouse = Warehouse(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Settings))
try:
    report = warehouse.import_delivery(date.fromisoformat(sys.argv[3]), now=datetime.fromisoformat(sys.argv[4]))
    said = {t.table: [t.loaded, t.reasons] for t in report.tables}
except OptinbError as error:
    said = str(error)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([said, int(status["VmHWM"].split()[0]) / 1024]))
"""


def taken(folder: Folder, **limits_: object) -> object:
    """What an import in a process of its own says; it takes no more memory than is stated."""
    text = msgspec.json.encode(settings(**limits_)).decode()  # pyright: ignore[reportArgumentType]
    command = [sys.executable, "-c", IMPORT, str(folder.root), text, DAY.isoformat(), NOW.isoformat()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    said, peak_mb = json.loads(ran.stdout.splitlines()[-1])
    assert peak_mb < MOST_MB
    return said


def sparse(path: Path, start: bytes, size: int) -> None:
    """A file that begins so, and goes on with NULs that no disk keeps."""
    with path.open("wb") as out:
        out.write(start)
        out.truncate(size)


def packed(path: Path, start: bytes, mb: int) -> None:
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(start)
        for _ in range(mb):
            out.write(b"a" * MB)


def object_of_100_mb(path: Path) -> None:
    path.write_text(f"{json.dumps(EVENT)}\n{json.dumps(EVENT | {'properties': 'x' * (100 * MB)})}\n")


def open_quote(path: Path) -> None:
    path.write_bytes(SALES + b'"' + b"a\n" * (20 * MB))


def a_million_columns(path: Path) -> None:
    path.write_text("customer_id,registered_at," + ",".join(f"c{i}" for i in range(1_000_000)) + "\n007,2026-01-05\n")


def names_that_fit_a_line(path: Path) -> None:
    path.write_text("customer_id,registered_at," + ",".join(f"c{i}" for i in range(20_000)) + "\n007,2026-01-05\n")


def a_million_names(path: Path) -> None:
    rows = (f'{{"customer_id":"c{i}","registered_at":"2026-01-05","k{i}":1}}\n' for i in range(1_000_000))
    path.write_text("".join(rows))


def wide_parquet(path: Path) -> None:
    cell = pa.array(["007"])
    names = ["customer_id", "registered_at", *(f"c{i}" for i in range(20_000))]
    pq.write_table(pa.Table.from_arrays([cell] * len(names), names=names), path)


def long_footer(path: Path) -> None:
    sparse(path, b"PAR1", 200 * MB)
    with path.open("r+b") as out:
        out.seek(-8, 2)
        out.write((150 * MB).to_bytes(4, "little") + b"PAR1")


@pytest.mark.parametrize(
    ("name", "make", "complaint"),
    [
        ("events.ndjson", lambda path: sparse(path, json.dumps(EVENT).encode() + b"\n", 1 << 30), "line 2 is longer"),
        ("transactions.csv", lambda path: sparse(path, SALES, 64 * MB), "line 3 is longer than 16 MB"),
        ("transactions.csv", lambda path: sparse(path, b"transaction_id,", 64 * MB), "first line is too long for"),
        ("events.ndjson.gz", lambda path: packed(path, b"", 300), "larger than 0.25 GB (1.3 MB packed)"),
        ("events.ndjson", object_of_100_mb, "line 2 is longer than 16 MB"),
        ("transactions.csv", open_quote, "opens a field in line 3 isn't closed within 16 MB"),
        ("customers.csv", a_million_columns, "first line is too long for a header"),
        ("customers.csv", names_that_fit_a_line, "it has 20,002 columns, and a table at most 1,000"),
        ("customers.ndjson", a_million_names, "more than 1,000 columns"),
        ("customers.parquet", wide_parquet, "it has 20,002 columns, and a table at most 1,000"),
        ("customers.parquet", long_footer, "takes 150 MB, more than 64"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_hostile_file_is_refused_in_a_sentence_and_leaves_nothing(
    folder: Folder, name: str, make: Callable[[Path], object], complaint: str
) -> None:
    delivery = folder.deliver({})
    for other in delivery.glob(f"{name.split('.')[0]}.*"):
        other.unlink()
    make(delivery / name)
    said = taken(folder, max_unpacked_gb=0.25)
    assert isinstance(said, str) and f"{name} can't be read: " in said and complaint in said
    assert folder.warehouse.current is None
    assert not [path for path in (folder.root / "warehouse").rglob("*") if path.name != "LEASE"]


def test_what_is_nested_without_end_is_one_value_or_one_reject(folder: Folder) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    folder.deliver({"events.ndjson": json.dumps(EVENT) + "\n" + deep + "\n" + '{"a":' * 100_000 + "1" + "}" * 100_000})
    (folder.root / "inbox" / DAY.isoformat() / "events.csv").unlink()
    said = taken(folder)
    assert isinstance(said, dict)
    loaded, reasons = said["events"]
    assert loaded == 1 and sum(reasons.values()) == 2


def test_a_gzip_that_shrinks_as_no_table_does_is_refused_and_one_that_does_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_RATIO_FROM", 4 * MB)
    target = tmp_path / "plain"
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(100 * MB)))
    with pytest.raises(UnreadableError, match="more than 300 times"):
        unpack(tmp_path / "bomb.gz", target)
    assert not target.exists()
    many = b"".join(b"t%d,007,2026-11-20,1\n" % number for number in range(500_000))
    (tmp_path / "table.gz").write_bytes(gzip.compress(many))
    unpack(tmp_path / "table.gz", target)
    assert target.read_bytes() == many


def test_long_files_of_ordinary_lines_and_quotation_marks_are_read(tmp_path: Path) -> None:
    file = tmp_path / "transactions.csv"
    rows = b"t1,007,2026-11-20,1,plain\n" * (17 * MB // 26)
    for odd in (b'"Berlin,",1\n', b'5" pipe,1\n', b'"a ""b"" c",1\n', b'1,"two\nlines"\n', b'""\n'):
        file.write_bytes(SALES + odd + rows + b'"end",1\n')
        refuse_long_lines(file, delimiter=",")
    file.write_bytes(SALES + b'1,"open' + rows)
    refuse_long_lines(file)
    file.write_bytes(SALES + b'1,"' + rows)
    with pytest.raises(UnreadableError, match="line 3 isn't closed"):
        refuse_long_lines(file, delimiter=",")
