"""What proves who works: the machine's login, or a hub that is asked; nothing that the environment says."""

from __future__ import annotations

import logging
import os
import pwd
import socket
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import trustme

import optinb
from optinb.base.settings import Settings, current_user, identity, parse_settings
from optinb.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "s3cret-token-0123456789"
USER = b'{"kind": "user", "name": "grace", "admin": false, "scopes": ["self"]}'
LOGIN = parse_settings("[workspace]\nidentity = 'login'")


class FalseHub:
    """Answers what a test says; `asked` are the paths and tokens it was asked with."""

    def __init__(self, answer: bytes = USER, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("Authorization", "")))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            do_CONNECT = do_GET  # noqa: N815 (the name is the method of HTTP)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.scheme = "http"

    @property
    def settings(self) -> Settings:
        return parse_settings(f'[workspace]\nhub = "{self.url}/hub/api"')

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_port}"

    @contextmanager
    def running(self) -> Iterator[FalseHub]:
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            self.server.server_close()
            thread.join()


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", TOKEN)


def refusal(settings: Settings) -> str:
    """Why nobody is told to be working, with every error that it came from."""
    with pytest.raises(SettingsError) as raised:
        current_user(settings)
    error: BaseException | None = raised.value
    causes = []
    while error is not None:
        causes.append(f"{error!r} {error}")
        error = error.__cause__
    assert TOKEN not in "\n".join(causes)
    return str(raised.value)


def test_the_login_says_who_works_whatever_the_environment_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    with FalseHub().running() as own:
        for name in ("LOGNAME", "USER", "JUPYTERHUB_USER", "OPTINB_USER"):
            monkeypatch.setenv(name, "grace")
        monkeypatch.setenv("JUPYTERHUB_API_URL", f"{own.url}/hub/api")
        assert current_user(LOGIN) == pwd.getpwuid(os.getuid()).pw_name
        assert own.asked == []


def test_a_user_id_without_a_name_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_123)
    with pytest.raises(SettingsError, match="4000000123 has no login name"):
        current_user(LOGIN)


def test_a_name_is_asserted_where_the_settings_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asserted = parse_settings("[workspace]\nidentity = 'asserted'")
    monkeypatch.setenv("OPTINB_USER", "linus")
    assert current_user(asserted) == "linus"
    for nobody in ("", "  ", "\u200b"):
        monkeypatch.setenv("OPTINB_USER", nobody)
        with pytest.raises(SettingsError, match="OPTINB_USER"):
            current_user(asserted)


def test_a_user_cannot_be_given_where_the_login_counts(tmp_path: Path) -> None:
    (tmp_path / "optinb.toml").write_text("[workspace]\nidentity = 'login'")
    with pytest.raises(SettingsError, match="login says who"):
        optinb.open_workspace(tmp_path, user="somebody")


def test_the_hub_says_whose_the_token_is_and_the_environment_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    with FalseHub().running() as real:
        assert current_user(real.settings) == "grace"
        assert real.asked == [("/hub/api/user", f"token {TOKEN}")]


def test_no_variable_leads_to_another_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    with FalseHub().running() as real, FalseHub(USER.replace(b"grace", b"ada")).running() as own:
        for name in ("JUPYTERHUB_API_URL", "JUPYTERHUB_HOST"):
            monkeypatch.setenv(name, f"{own.url}/hub/api")
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, own.url)
        assert current_user(real.settings) == "grace"
        assert own.asked == []


def test_a_service_bears_a_name_that_no_user_has() -> None:
    with FalseHub(USER.replace(b'"user"', b'"service"').replace(b"grace", b"nightly")).running() as real:
        assert current_user(real.settings) == "service/nightly"
    with FalseHub(USER.replace(b"grace", b"service/nightly")).running() as odd:
        assert "is no JupyterHub" in refusal(odd.settings)


def test_a_hub_is_asked_once_for_an_open_workspace(tmp_path: Path) -> None:
    with FalseHub().running() as real:
        (tmp_path / "optinb.toml").write_text(f'[workspace]\nhub = "{real.url}/hub/api"')
        with optinb.open_workspace(tmp_path) as ws:
            assert real.asked == []
            assert {ws.user, ws.user} == {"grace"}
        assert len(real.asked) == 1


@pytest.mark.parametrize(
    ("status", "answer", "headers", "said"),
    [
        (401, b"", {}, "refuses the token in JUPYTERHUB_API_TOKEN (401)"),
        (403, b'{"status": 403}', {}, "refuses the token in JUPYTERHUB_API_TOKEN (403)"),
        (302, b"", {"Location": "/hub/login"}, "sends on to another address (302)"),
        (307, USER, {"Location": "/hub/api/user"}, "sends on to another address (307)"),
        (404, b"<html>", {}, "answered 404"),
        (503, b"Proxy target missing", {}, "answered 503"),
        (204, b"", {}, "answered 204"),
        (200, b"<html>Welcome</html>", {}, "is no JupyterHub"),
        (200, b'{"name": "grace"}', {}, "is no JupyterHub"),
        (200, b'{"kind": "group", "name": "grace"}', {}, "is no JupyterHub"),
        (200, b'{"kind": "user", "name": " "}', {}, "is no JupyterHub"),
        (200, b'{"kind": "user", "name": null}', {}, "is no JupyterHub"),
        (200, b"\xff\xfe", {}, "is no JupyterHub"),
        (200, b"no gzip", {"Content-Encoding": "gzip"}, "can't be reached"),
    ],
)
def test_a_hub_that_does_not_say_names_nobody_and_the_login_never_stands_in(
    status: int, answer: bytes, headers: dict[str, str], said: str
) -> None:
    with FalseHub(answer, status=status, headers=headers).running() as odd:
        assert said in refusal(odd.settings)
        assert len(odd.asked) == 1


def test_a_hub_that_is_not_there_or_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = parse_settings(f'[workspace]\nhub = "http://127.0.0.1:{silent.getsockname()[1]}/hub/api"')
        monkeypatch.setattr(identity, "TIMEOUT_S", 0.3)
        assert "didn't answer in 0.3 s" in refusal(settings)
    assert "can't be reached" in refusal(settings)


@pytest.mark.parametrize("token", ["", " ", "two words", "line\nend", "tök€n"])
def test_what_can_be_no_token_is_not_sent(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token)
    with FalseHub().running() as real:
        said = refusal(real.settings)
        assert "JUPYTERHUB_API_TOKEN" in said
        assert not token.strip() or token not in said
        assert real.asked == []


def test_only_who_is_vouched_for_by_the_settings_is_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    real = FalseHub()
    real.server.socket = served.wrap_socket(real.server.socket, server_side=True)
    real.scheme = "https"
    with real.running():
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # of whoever asks
            monkeypatch.setenv(name, str(file))
        said = refusal(real.settings)
        assert "can't prove that it is the one" in said
        assert "hub_ca" in said
        assert real.asked == []
        named = f'[workspace]\nhub = "{real.url}/hub/api"\nhub_ca = '
        assert current_user(parse_settings(f"{named}'{file}'")) == "grace"
        assert "can't be read (No such file" in refusal(parse_settings(f"{named}'{file}.old'"))
        file.write_text("no certificate")
        assert "can't be read" in refusal(parse_settings(f"{named}'{file}'"))


def test_no_log_holds_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with FalseHub().running() as real:
        current_user(real.settings)
    assert "/hub/api/user" in caplog.text
    assert TOKEN not in caplog.text


def test_a_hub_is_not_asked_where_names_are_asserted() -> None:
    with pytest.raises(SettingsError, match='only where identity is "login"'):
        parse_settings('[workspace]\nidentity = "asserted"\nhub = "https://hub.example.com/hub/api"')
