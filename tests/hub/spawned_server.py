"""What the hub of tests starts as somebody's server: it tells who works there, whoever the environment says it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

WHO = "import optinb, sys; print(optinb.open_workspace(sys.argv[1]).user)"


def who(claimed: str) -> str:
    """Who works in the workspace `ws` of this server's home."""
    command = [sys.executable, "-c", WHO, str(Path.cwd() / "ws")]
    environment = {**os.environ, "JUPYTERHUB_USER": claimed, "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(
            {claimed: who(claimed) for claimed in ("anna", "bert")} if "who" in self.path else {}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    ThreadingHTTPServer((url.hostname or "127.0.0.1", url.port or 0), Server).serve_forever()
