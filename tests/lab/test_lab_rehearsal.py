from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from optinb.demo import APPROVER, demo_settings
from optinb.errors import UsageError
from optinb.lab import run_lab, running_sandbox
from optinb.settings import parse_settings

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.sandbox import Sandbox

# Runs inside JupyterLab as it starts: what it was given.
CONFIG = "import json, os\nopen(os.environ['SEEN'], 'w').write(json.dumps(dict(os.environ)))\n"


def test_a_second_person_rehearses_on_the_running_sandbox_and_leaves_nothing_behind(
    folder: Path, sandbox: Sandbox, tmp_path: Path
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
    pretended = datetime.fromisoformat(environment["OPTINB_NOW"])
    assert timedelta(0) <= sandbox.clock.now() - pretended < timedelta(minutes=5)


def test_only_a_sandbox_is_taken_for_one(sandbox: Sandbox) -> None:
    found = running_sandbox(parse_settings(demo_settings(sandbox.url)))
    assert found is not None
    assert abs(found - sandbox.clock.now()) < timedelta(minutes=1)

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'["a shop"]')

        def log_message(self, *_arguments: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        other = parse_settings(demo_settings(f"http://127.0.0.1:{server.server_port}"))
        assert running_sandbox(other) is None
        server.shutdown()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert running_sandbox(parse_settings(demo_settings(f"http://127.0.0.1:{nobody.getsockname()[1]}"))) is None


def test_a_port_of_something_else_is_named(folder: Path, sandbox: Sandbox) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.settimeout(5)
        settings = folder / "optinb.toml"
        address = f"http://127.0.0.1:{other.getsockname()[1]}"
        settings.write_text(settings.read_text(encoding="utf-8").replace(sandbox.url, address), encoding="utf-8")

        def hang_up() -> None:
            other.accept()[0].close()

        Thread(target=hang_up, daemon=True).start()
        with pytest.raises(UsageError, match=f"port {other.getsockname()[1]}"):
            run_lab(folder, rehearse=True, say=print)
