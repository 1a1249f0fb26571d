from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner

from optinb import open_workspace
from optinb.base.clock import SANDBOX
from optinb.base.settings import FILE_NAME, load_settings
from optinb.cli import main
from optinb.errors import SettingsError, UsageError
from optinb.rehearsal import APPROVER, AUTHOR, KEYS, environment, place_of_sandbox, running_sandbox, variables_for
from optinb.sandbox import Sandbox, demo_world
from optinb.sandbox.proof import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Runs inside JupyterLab as it starts: what it was given.
CONFIG = "import json, os\nopen(os.environ['SEEN'], 'w').write(json.dumps(dict(os.environ)))\n"


@pytest.fixture
def own(folder: Path, sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox that somebody started for the workspace, which names its address."""
    with Sandbox(demo_world(), now=sandbox.clock.now(), workspace=folder) as mine:
        settings = folder / FILE_NAME
        settings.write_text(settings.read_text("utf-8").replace(sandbox.url, mine.url), "utf-8")
        yield mine


def test_a_second_person_rehearses_on_the_running_sandbox_and_leaves_nothing_behind(
    folder: Path, own: Sandbox, tmp_path: Path
) -> None:
    config, runtime, seen = tmp_path / "config", tmp_path / "runtime", tmp_path / "seen.json"
    config.mkdir()
    (config / "jupyter_lab_config.py").write_text(CONFIG)
    command = [sys.executable, "-m", "optinb", "lab", "--rehearse", "--user", APPROVER, "--workspace", str(folder)]
    with subprocess.Popen(
        [*command, "--", "--no-browser", "--allow-root", "--ServerApp.port=0", "--ServerApp.ip=127.0.0.1"],
        env={
            **os.environ,
            "SEEN": str(seen),
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_RUNTIME_DIR": str(runtime),
            "IPYTHONDIR": str(tmp_path / "ipython"),
        },
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as lab:
        assert lab.stderr is not None
        said = []
        try:
            for line in lab.stderr:
                said.append(line)
                if "jpserver-" in line:  # it tells of its runtime files once they are written
                    break
            assert list(runtime.glob("jpserver-*")), "".join(said)
            os.killpg(lab.pid, signal.SIGINT)  # as a terminal does, to everybody in front of it
            said.append(lab.stderr.read())
        except BaseException:
            lab.terminate()
            raise
    assert lab.returncode == 0, "".join(said)
    assert not list(runtime.glob("jpserver-*"))
    environment = json.loads(seen.read_text())
    assert environment["OPTINB_USER"] == APPROVER
    assert environment[SANDBOX] == own.url
    pretended = datetime.fromisoformat(environment["OPTINB_NOW"])
    assert timedelta(0) <= own.clock.now() - pretended < timedelta(minutes=5)


@contextmanager
def answering(answer: Callable[[str], bytes]) -> Iterator[str]:
    """A program on a port of its own that answers each path as it's told."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer(self.path))

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_only_the_workspaces_own_sandbox_is_taken_for_it(sandbox: Sandbox, tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    assert running_sandbox(sandbox.url, own) is None, "no sandbox was ever started for it"
    with Sandbox(demo_world(), now=sandbox.clock.now(), workspace=own) as mine:
        found = running_sandbox(mine.url, own)
        assert found is not None and abs(found - mine.clock.now()) < timedelta(minutes=1)
        assert (own / SECRET).stat().st_mode & 0o077 == 0
        assert running_sandbox(sandbox.url, own) is None, "somebody else's sandbox proves nothing"
        shutil.copytree(own, other)
        assert running_sandbox(mine.url, other) is None, "a copy of the workspace is another one"
        for answer in (
            lambda _: b'["a shop"]',
            lambda _: b'{"now": "2026-11-23T02:00:00+01:00"}',
            lambda _: b'{"now": "2026-11-23T02:00:00+01:00", "proof": ""}',
            lambda path: httpx.get(mine.url + path).content,  # hands the question on to the true one
        ):
            with answering(answer) as address:
                assert running_sandbox(address, own) is None
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert running_sandbox(f"http://127.0.0.1:{nobody.getsockname()[1]}", own) is None
    assert running_sandbox("", own) is None
    (own / SECRET).write_bytes(b"")
    with pytest.raises(UsageError, match=r"sandbox\.secret is damaged; remove it"):
        running_sandbox(mine.url, own)


def test_another_program_on_the_sandboxs_port_gets_nothing_of_a_rehearsal(folder: Path, sandbox: Sandbox) -> None:
    settings, asked = folder / FILE_NAME, []

    def answer(path: str) -> bytes:
        asked.append(path)
        return b'{"now": "2026-11-23T02:00:00+01:00"}'

    with answering(answer) as address, ExitStack() as stack:
        settings.write_text(settings.read_text("utf-8").replace(sandbox.url, address), "utf-8")
        given = variables(folder, stack)
        assert given[SANDBOX] not in (address, sandbox.url)
        with environment(given), open_workspace(folder) as ws:
            assert [sync.problem for sync in ws.templates.sync()] == ["", ""]
    assert asked == []


def variables(root: Path, stack: ExitStack, **given: Any) -> dict[str, str]:
    return variables_for(root, load_settings(root / FILE_NAME), user=AUTHOR, stack=stack, **given)


def test_who_rehearses_on_one_workspace_shares_its_sandbox_and_another_workspace_has_its_own(
    folder: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    with socket.socket() as taken, ExitStack() as stack:
        taken.bind(("127.0.0.1", 0))
        settings = (folder / FILE_NAME).read_text("utf-8")
        settings = settings.replace(sandbox.url, f"http://127.0.0.1:{taken.getsockname()[1]}")
        for root in (folder, other):
            root.mkdir(exist_ok=True)
            (root / FILE_NAME).write_text(settings, "utf-8")
        first, again, elsewhere = variables(folder, stack), variables(folder, stack), variables(other, stack)
        assert first[SANDBOX] == again[SANDBOX] != elsewhere[SANDBOX]
        assert str(taken.getsockname()[1]) not in first[SANDBOX] + elsewhere[SANDBOX]
        assert first["OPTINB_NOW"].startswith("2026-11-23T02:00"), "the night of the newest delivery in the inbox"
        with environment(elsewhere), open_workspace(other) as ws:
            assert {group.api for group in ws.settings.app_groups} == {elsewhere[SANDBOX]}
            assert [sync.problem for sync in ws.templates.sync()] == ["", ""]
        given = variables(tmp_path / "other", stack)
        assert given[SANDBOX] == elsewhere[SANDBOX]
    assert running_sandbox(first[SANDBOX], folder) is None
    assert not (folder / "sandbox.url").exists()


def test_a_sandbox_that_is_started_beside_a_workspace_is_the_one_that_its_rehearsals_find(
    folder: Path, sandbox: Sandbox
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    settings = folder / FILE_NAME
    settings.write_text(settings.read_text("utf-8").replace(sandbox.url, address), "utf-8")
    beside = ("--workspace", str(folder))

    def sync() -> str:
        done = CliRunner().invoke(main, ["templates", "sync", "--rehearse", *beside])
        assert (done.exit_code, done.stdout.count("4 usable templates")) == (0, 2), done.stderr
        return done.stderr

    assert f"`optinb sandbox --workspace {folder}` beside it" in sync()  # none runs yet
    with socket.socket() as taken:  # the settings' port is somebody else's
        taken.bind(("127.0.0.1", int(address.rpartition(":")[2])))
        process = subprocess.Popen(
            [sys.executable, "-m", "optinb", "sandbox", "--port", "0", *beside], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None and "Appboy sandbox at" in process.stdout.readline()
            assert sync() == ""
            refused = CliRunner().invoke(main, ["sandbox", *beside])
            assert refused.exit_code == 2 and "runs already, at http://127.0.0.1:" in refused.stderr
            url = (folder / "sandbox.url").read_text("utf-8")
            now = httpx.get(f"{url}/sandbox/clock").json()["now"]
            assert now.startswith("2026-11-23T0"), "the night of the newest delivery in the inbox"
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert not (folder / "sandbox.url").exists()
    assert place_of_sandbox(folder)[0] == int(address.rpartition(":")[2])


def test_a_rehearsal_never_leads_a_workspace_with_a_real_address_elsewhere(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SANDBOX, "https://rest.iad-01.braze.com")
    with pytest.raises(SettingsError, match="only for rehearsals"):
        open_workspace(folder)
    settings = folder / FILE_NAME
    settings.write_text(settings.read_text("utf-8").replace(sandbox.url, "https://rest.iad-01.braze.com"), "utf-8")
    monkeypatch.setenv(SANDBOX, sandbox.url)
    monkeypatch.delenv("OPTINB_NOW")
    with pytest.raises(SettingsError, match="only for rehearsals"):
        open_workspace(folder)
    with ExitStack() as stack, pytest.raises(UsageError, match="one sandbox in every app group"):
        variables(folder, stack)


def test_a_scheduler_rehearses_a_night_without_a_key_or_a_sandbox_of_their_own(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = folder / FILE_NAME
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    settings.write_text(settings.read_text("utf-8").replace(sandbox.url, address), "utf-8")
    for name in (*KEYS, "OPTINB_NOW", "OPTINB_USER"):
        monkeypatch.delenv(name)

    def optinb(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "optinb", *arguments, "--workspace", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = optinb("doctor", "--rehearse")
    assert (done.returncode, "✗" in done.stdout) == (0, False), done.stdout + done.stderr
    assert "This machine" in done.stdout
    done = optinb("templates", "sync", "--rehearse")
    assert (done.returncode, done.stdout.count("4 usable templates")) == (0, 2), done.stdout + done.stderr
    done = optinb("nightly", "--rehearse")
    assert (done.returncode, "no campaign is due" in done.stdout) == (0, True), done.stdout + done.stderr
    assert optinb("doctor", "--user", "somebody").returncode == 2


def test_who_is_named_works_or_the_command_says_why_not(folder: Path, own: Sandbox) -> None:
    def told(*arguments: str) -> str:
        jupyters = ("--", "--allow-root") if arguments[0] == "lab" else ()
        done = CliRunner().invoke(main, [*arguments, "--workspace", str(folder), *jupyters])
        assert (done.exit_code, done.stdout) == (2, "")
        return done.stderr

    settings = folder / FILE_NAME
    with ExitStack() as stack:
        named = variables_for(folder, load_settings(settings), user=APPROVER, stack=stack)
        assert named["OPTINB_USER"] == APPROVER
        settings.write_text(settings.read_text("utf-8").replace('"asserted"', '"login"'), "utf-8")
        nobody = variables_for(folder, load_settings(settings), user=None, stack=stack)
        assert nobody[SANDBOX] == own.url
    for command in ("lab", "serve", "doctor"):
        assert "--user demo-approver goes with --rehearse only" in told(command, "--user", APPROVER)
        said = told(command, "--rehearse", "--user", APPROVER)
        assert "--user demo-approver can't be obeyed: the login says who works in this workspace; leave it out" in said


def test_what_anothers_killed_rehearsal_left_is_told_in_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("optinb.rehearsal.write_atomically", refuse)
    with ExitStack() as stack, pytest.raises(UsageError, match=r"can't write \S+sandbox.url, which a rehearsal that"):
        variables_for(folder, load_settings(folder / FILE_NAME), user=APPROVER, stack=stack)
