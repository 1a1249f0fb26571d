"""Where optinb's log goes: sentences to a person, JSON to a scheduler, and every line to a file that stays small."""

from __future__ import annotations

import fcntl
import json
import logging
import multiprocessing
import os
import pty
import stat
import struct
import subprocess
import sys
import termios
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from optinb.base import logs
from optinb.cli import main
from optinb.demo import AUTHOR, KEYS, RUN_DATE
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

log = logging.getLogger("optinb.delivery")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    logs.to_file(None)
    logs.to_stderr()


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"OPTINB_USER": AUTHOR})


def lines(root: Path) -> list[dict[str, object]]:
    return [
        json.loads(line) for path in sorted((root / "logs").iterdir()) for line in path.read_text().splitlines() if line
    ]


def speak() -> None:
    log.info("window", extra={"campaign": "Summer", "accepted": 2})
    log.warning("answers not written", extra={"campaign": "Summer\x1b[2J", "problem": "disk full"})


@pytest.mark.parametrize(
    ("stream", "form", "is_json"),
    [(Terminal, None, False), (Terminal, "json", True), (StringIO, None, True), (StringIO, "text", False)],
)
def test_a_person_reads_warnings_as_sentences_and_a_scheduler_reads_json(
    monkeypatch: pytest.MonkeyPatch, stream: type[StringIO], form: str | None, is_json: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", shown := stream())
    logs.to_stderr(form)
    speak()
    told = shown.getvalue().splitlines()
    if is_json:
        first, second = map(json.loads, told)
        assert (first["event"], first["level"], first["accepted"]) == ("window", "info", 2)
        assert (second["level"], second["logger"]) == ("warning", "optinb.delivery")
    else:
        assert told == [r"optinb: answers not written (campaign: Summer\x1b[2J; problem: disk full)"]


def test_a_trace_goes_to_the_file_and_a_person_is_told_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    logs.to_stderr()
    logs.to_file(tmp_path)
    log.info("begun")
    try:
        raise KeyError("stage")
    except KeyError as error:
        log.error("modelling", exc_info=error)
    (told,) = shown.getvalue().splitlines()
    assert told == f"optinb: modelling (KeyError: 'stage'; {tmp_path / 'logs' / 'optinb.log'} has the details)"
    assert "Traceback" in str(lines(tmp_path)[1]["exception"])


def test_the_option_stands_before_or_after_the_command(folder: Path) -> None:
    delivery = ("check", str(folder / "inbox" / RUN_DATE.isoformat()), "--workspace", str(folder))
    for arguments, is_json in (
        (("--log", "json", *delivery), True),
        ((*delivery, "--log", "text"), False),
        (("--log", "json", *delivery, "--log", "text"), False),
        (delivery, True),
    ):
        done = call(*arguments)
        assert done.exit_code == 0, done.output
        assert ("table checked" in done.stderr) == is_json
    kept = [line for line in lines(folder) if line["event"] == "table checked"]
    assert len(kept) == 4 * len({line["table"] for line in kept})
    assert call("status", "--log", "xml").exit_code == 2


def write(root: Path, who: int, together: Barrier) -> None:
    together.wait(60)
    for number in range(200):
        logs.append(root, f'{{"who": {who}, "number": {number}, "text": "{"x" * 100}"}}\n'.encode())


def test_several_processes_write_whole_lines_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_BYTES", 20_000)
    context = multiprocessing.get_context("fork")
    together = context.Barrier(4)
    writers = [context.Process(target=write, args=(tmp_path, who, together)) for who in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    files = sorted((tmp_path / "logs").iterdir())
    assert len(files) == logs.KEPT + 1 and files[0].name == "optinb.log"
    assert all(file.stat().st_size <= 20_000 and logs.is_log(file) for file in files)
    longest = len(b'{"who": 0, "number": 100, "text": ""}\n') + 100
    for full in files[1:]:
        # nobody gives a name to a file that another has just begun
        assert full.stat().st_size > 20_000 - longest, full
    kept = lines(tmp_path)
    for who in range(4):
        numbers = sorted(line["number"] for line in kept if line["who"] == who)
        # one who was ready long before the others may have nothing but lines that went
        assert numbers == list(range(200 - len(numbers), 200))


def test_the_log_is_for_the_owner_alone_or_for_the_group_of_its_folder(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        logs.append(tmp_path, b"{}\n")
        assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "logs" / "optinb.log").stat().st_mode) == 0o600
        os.umask(0o007)
        (shared := tmp_path / "shared").mkdir()
        shared.chmod(0o2770)
        logs.append(shared, b"{}\n")
        assert stat.S_IMODE((shared / "logs" / "optinb.log").stat().st_mode) == 0o660
    finally:
        os.umask(before)


@pytest.mark.parametrize("problem", ["gone", "full"])
def test_a_log_that_cant_be_written_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ws"
    if problem == "full":
        root.mkdir()
        (root / "logs").mkdir()
        (root / "logs" / "optinb.log").symlink_to("/dev/full")
    logs.to_stderr("text")
    logs.to_file(root)
    log.info("window")
    assert capsys.readouterr().err == "" and root.exists() == (problem == "full")


def test_forget_finds_a_person_in_every_file_of_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    person = "000003"
    logs.to_stderr("text")
    logs.to_file(folder)
    monkeypatch.setattr(logs, "MOST_BYTES", 700)
    for _ in range(4):
        log.info("answer not read", extra={"problem": f"customer {person} is late", "of": 3})
        log.info("asked", extra={"customers": 3, "ids": [person, "other"]})
    files = sorted((folder / "logs").iterdir())
    assert len(files) > 1 and all(person in file.read_text() for file in files)
    before = lines(folder)
    with open_workspace(folder, user=AUTHOR) as ws:
        done = ws.forget(person, by="ticket 7")
    assert done.found and not [name for name in done.named_in if "logs" in name], done
    after = lines(folder)
    for was, now in zip(before, after, strict=True):
        assert f"customer {person} is" not in str(now) and f"'{person}'" not in str(now)
        # a count that happens to look like an id is none
        assert (now.get("customers"), now.get("of")) == (was.get("customers"), was.get("of"))


def test_a_night_that_appboy_refuses_leaves_no_key_in_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "not-the-key-0123456789"
    for name in KEYS:
        monkeypatch.setenv(name, wrong)
    assert call("doctor", "--workspace", str(folder)).exit_code == 1
    assert call("templates", "sync", "--workspace", str(folder)).exit_code == 1
    try:
        raise RuntimeError("anything")
    except RuntimeError:
        log.exception("a trace")
    kept = (folder / "logs" / "optinb.log").read_text()
    assert "a trace" in kept and wrong not in kept


def test_a_command_at_a_terminal_shows_no_line_of_the_log(folder: Path) -> None:
    command = [sys.executable, "-m", "optinb", "check", str(folder / "inbox" / RUN_DATE.isoformat()), "-w", str(folder)]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 65_536):
                seen += part
        except OSError:
            pass  # its end, on Linux
    os.close(ours)
    assert process.returncode == 0, seen
    assert b"100%" in seen and b"{" not in seen and b"table checked" not in seen
