"""Whatever somebody types, and whatever lies where a command looks, it ends with a sentence, not with a traceback."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result

from optinb.base import logs
from optinb.cli import main
from optinb.demo import AUTHOR

if TYPE_CHECKING:
    from pathlib import Path

ENDLESS = ("lab", "serve", "sandbox", "demo", "sample")  # what listens, or makes much


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found = []
    for name, command in group.commands.items():
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [((*path, name), command)]
    return found


ALL = [pytest.param(path, command, id=" ".join(path)) for path, command in commands(main)]


def call(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["--log", "text", *arguments], env={"OPTINB_USER": AUTHOR, **environment})


def ended_with_a_sentence(result: Result) -> None:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code not in (0, None), result.output
    assert "Traceback" not in result.output and "doesn't know why" not in result.output, result.output
    told = result.stderr.strip().splitlines()
    assert told and told[-1].startswith(("optinb: ", "Error: ")) and len(told[-1].split()) > 3, result.output


def arguments_of(command: click.Command, value: str) -> list[str]:
    """What a command must be given, all of it `value`, but for days, which are days."""
    given: list[str] = []
    for parameter in command.params:
        said = "2026-11-23" if parameter.type.name == "date" else value
        if isinstance(parameter, click.Argument):
            given += [said] if parameter.required else []
        elif parameter.required:
            given += [parameter.opts[0], said]
    return given


@pytest.mark.parametrize(("path", "command"), ALL)
def test_unknown_options_and_values_are_refused_with_a_sentence(path: tuple[str, ...], command: click.Command) -> None:
    if path != ("lab",):  # which hands them on
        ended_with_a_sentence(call(*path, "--colour", "blue"))
    if any((isinstance(p, click.Argument) and p.required) or p.required for p in command.params):
        ended_with_a_sentence(call(*path))
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.type.name in ("date", "time", "integer", "choice"):
            ended_with_a_sentence(call(*path, *arguments_of(command, "x"), parameter.opts[0], "rubbish"))


def place(root: Path, problem: str) -> Path:
    match problem:
        case "file":
            root.write_text("no folder")
        case "empty":
            root.mkdir()
        case "torn":
            root.mkdir()
            (root / "optinb.toml").write_text('[workspace]\ntime_zone = "Eur')
        case "latin":
            root.mkdir()
            (root / "optinb.toml").write_bytes(b'[workspace]\nname = "K\xe4se"\n')
        case "folder":
            (root / "optinb.toml").mkdir(parents=True)
        case "unknown":
            root.mkdir()
            (root / "optinb.toml").write_text("[workspace]\ncolour = 3\n")
    return root


@pytest.mark.parametrize("problem", ["missing", "file", "empty", "torn", "latin", "folder", "unknown"])
@pytest.mark.parametrize(("path", "command"), [one for one in ALL if one.values[0][0] not in ENDLESS])  # type: ignore[index]
def test_a_folder_that_is_no_workspace_is_told(
    tmp_path: Path, path: tuple[str, ...], command: click.Command, problem: str
) -> None:
    root = place(tmp_path / "ws", problem)
    if path == ("init",):
        if problem == "file":
            ended_with_a_sentence(call("init", str(root)))
        return
    ended_with_a_sentence(call(*path, *arguments_of(command, "x"), "--workspace", str(root)))


@pytest.mark.parametrize("problem", ["missing", "folder", "bytes"])
@pytest.mark.parametrize(
    "words",
    [
        ("campaigns", "submit", "--file"),
        ("campaigns", "draft", "--file"),
        ("campaigns", "preview", "--file"),
        ("lists", "save", "L"),
        ("codes", "import", "P"),
        ("offers", "save"),
        ("check",),
    ],
)
def test_a_file_that_cant_be_read_is_told(folder: Path, tmp_path: Path, words: tuple[str, ...], problem: str) -> None:
    file = tmp_path / "campaign.toml"
    if problem == "folder" and words != ("check",):  # which examines one
        file.mkdir()
    elif problem == "bytes":
        file.write_bytes(bytes(range(256)) * 40)
    ended_with_a_sentence(call(*words, str(file), "--workspace", str(folder)))


def test_a_workspace_of_a_newer_optinb_is_told(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "state.sqlite")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    ended_with_a_sentence(call("status", "--workspace", str(folder)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPTINB_NOW", "soon"),
        ("OPTINB_WORKSPACE", "\x01/no"),
        ("OPTINB_WORKSPACE", "/dev/null"),
    ],
)
def test_variables_with_rubbish_are_told(folder: Path, name: str, value: str) -> None:
    where = () if name == "OPTINB_WORKSPACE" else ("--workspace", str(folder))
    ended_with_a_sentence(call("status", *where, **{name: value}))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/ws/runs"), "the disk is full (/ws/runs)"),
        (RuntimeError("IO Error: No space left on device"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/ws/x"), "/ws/x: Permission denied"),
        (MemoryError(), "too little memory"),
        (KeyError("stage"), "it failed, and optinb doesn't know why (KeyError: 'stage')"),
    ],
)
def test_what_nobody_foresaw_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Any, told: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("optinb.delivery.night_answers.status", fails)
    done = call("status", "--workspace", str(folder))
    assert done.exit_code == 1 and told in done.stderr and "Traceback" not in done.output
    kept = folder / logs.FOLDER / logs.NAME
    assert (isinstance(error, KeyError)) == (kept.exists() and "Traceback" in kept.read_text())


def test_a_closed_pipe_a_narrow_terminal_and_an_old_locale_end_no_command_badly(folder: Path) -> None:
    command = [sys.executable, "-m", "optinb", "audit", "list", "--workspace", str(folder)]
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "LANG": "C",
        "COLUMNS": "40",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr, done.stderr


@pytest.mark.parametrize("said", ["nan", "inf", "-1", "soon"])
def test_minutes_that_are_no_number_are_named_with_an_example(said: str) -> None:
    done = call("confirm", "--minutes", said)
    ended_with_a_sentence(done)
    assert f"'{said}' is no number of minutes; write one such as 20, or 0.5" in done.stderr
