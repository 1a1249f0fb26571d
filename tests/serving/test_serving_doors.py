"""Which requests the served pages take: by host, page, path and cookie, over raw sockets and two real servers."""

from __future__ import annotations

import re
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from pages_server import TOKEN, serving
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from optinb.base.addresses import is_named_here, origin_of
from optinb.demo import APPROVER, AUTHOR
from optinb.errors import UsageError
from optinb.serve import run_serve
from optinb.serve.gate import path_of_its_own, problem_of_path, problem_of_request

PAGE = "/voila/render/workbench.ipynb"
SCRIPT = "/voila/static/voila.js"
XSRF = "aabbccdd"  # which Jupyter asks for besides, twice the same
PUBLIC = "https://crm.example.com/pages/"


class Answer(NamedTuple):
    """What came back over a socket."""

    status: int
    head: str
    body: str


@pytest.fixture(scope="module")
def pages(tmp_path_factory, modelled):
    with serving(modelled, tmp_path_factory.mktemp("pages"), user=AUTHOR) as server:
        yield server


@pytest.fixture(scope="module")
def cookie(pages):
    """The cookie of somebody who has brought the token."""
    return cookie_of(pages.url)


def cookie_of(url: str, path: str = "/no-such-page") -> str:
    answer = httpx.get(f"{url}{path}?token={TOKEN}", trust_env=False)
    assert answer.status_code == 302
    return answer.headers["set-cookie"].partition(";")[0]


def ask(url: str, target: str, *headers: str, method: str = "GET", host: str | None = None) -> Answer:
    """One request, byte for byte as it is given here, which no client tidies up."""
    where = urlsplit(url)
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host or where.netloc}", "Connection: close", *headers, "", ""]
    with socket.create_connection((where.hostname, where.port), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode("utf-8", "replace")
    head, _, body = answer.partition("\r\n\r\n")
    return Answer(int(head.split()[1]), head, body)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "", "a b", "@"]
)
def test_a_name_that_somebody_else_let_lead_here_gets_nothing(pages, cookie, host):
    port = urlsplit(pages.url).port
    for target in (SCRIPT, f"{SCRIPT}?token={TOKEN}"):
        answer = ask(pages.url, target, f"Cookie: {cookie}", host=host.format(port=port) or " ")
        assert answer.status in (400, 403), host
        assert "set-cookie" not in answer.head.lower()
    assert ask(pages.url, SCRIPT, f"Cookie: {cookie}").status == 200


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "localhost:9000"])
def test_names_of_this_machine_and_the_end_of_a_tunnel_are_answered(pages, cookie, host):
    answer = ask(pages.url, SCRIPT, f"Cookie: {cookie}", host=host.format(port=urlsplit(pages.url).port))
    assert answer.status == 200


def test_a_change_is_asked_for_by_a_page_of_this_server_alone(pages, cookie):
    with httpx.Client(base_url=pages.url, headers={"Cookie": cookie}, trust_env=False, timeout=60) as guest:
        (kernel,) = re.findall(r'"kernelId": "([\w-]+)"', guest.get(PAGE).text)
        alive = f"/api/kernels/{kernel}"
        port = urlsplit(pages.url).port
        bad = [[], ["Origin: null"], ["Origin: http://evil.example"], [f"Origin: http://127.0.0.1:{port + 1}"]]
        bad += [[f"Origin: https://127.0.0.1:{port}"], [f"Origin: http://localhost:{port}"]]
        for headers in bad:
            for method, path in (("POST", f"/voila/api/shutdown/{kernel}"), ("DELETE", alive)):
                assert ask(pages.url, path, f"Cookie: {cookie}", *headers, method=method).status == 403, headers
        elsewhere = ("Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image")
        assert ask(pages.url, PAGE, f"Cookie: {cookie}", *elsewhere).status == 403
        assert guest.get(alive).status_code == 200
        channels = f"{pages.url.replace('http', 'ws')}{alive}/channels"
        for origin in (None, "null", "http://evil.example", f"http://127.0.0.1:{port + 1}"):
            with pytest.raises(InvalidStatus) as refused:
                connect(
                    channels,
                    proxy=None,
                    additional_headers={"Cookie": cookie},
                    origin=None if origin is None else Origin(origin),
                )
            assert refused.value.response.status_code == 403
        with connect(channels, proxy=None, additional_headers={"Cookie": cookie}, origin=Origin(pages.url)):
            pass
        own = {"Origin": pages.url, "X-XSRFToken": XSRF, "Cookie": f"{cookie}; _xsrf={XSRF}"}
        assert guest.post(f"/voila/api/shutdown/{kernel}", headers=own).status_code == 204
        assert guest.get(alive).status_code == 404


ODD = (
    "/%00",
    "/voila/render/%00",
    "/voila/render/workbench.ipynb%00",
    "/voila/static/%00",
    "/voila/templates/%00",
    "/voila/labextensions/%00",
    "/voila/api/themes/%00",
    "/voila/render/%2e%2e/%2e%2e/etc/passwd",
    "/voila/static/%2e%2e",
    "/voila/static/..%2f..%2fapp.py",
    "/voila/static/..%5c..%5capp.py",
    "/voila/render/%ff",
    "/voila/static/%ff.js",
    "/voila/static/%c0%ae%c0%ae/x",
    "/voila/render/%",
    "/voila/render/%zz",
    "/voila/render/%0d%0aSet-Cookie:x",
    "/voila/render/%1b[31m",
    f"/voila/render/{'a' * 300}.ipynb",
    f"/voila/static/{'a' * 300}",
    f"/{'a' * 30_000}",
    f"/voila/static/{'a/' * 3_000}",
    "/voila/render/" + "%2e%2e%2f" * 200,
    "/voila/render/%E2%80%AEbpnyi.nalp",
    "/voila/render//etc/passwd.ipynb",
    "/voila/render/%2Fetc%2Fpasswd.ipynb",
    "/voila/render/no.ipynb",
    "/voila/render/",
    "/voila/render/workbench.ipynb/",
    "/voila/static/",
    "/voila/static",
    "/voila/templates/x/static/",
    "/voila/labextensions/",
    "/voila/api/themes/",
    "/voila/api/themes/x/../y",
    "/api/kernels/%00",
    "/voila/render/workbench.ipynb?theme=%00",
    "/voila/render/workbench.ipynb?theme=%ff",
    "/voila/render/workbench.ipynb?theme=../../x",
    "/voila/render/workbench.ipynb?template=%00",
    "/?token=%ff",
    "/?token=%00",
    "/?token",
    "/?%74oken=x",
    "/?a=%ff&token=x",
    "/voila/render/workbench.ipynb?%ff=%ff",
)


@pytest.mark.parametrize("path", ODD, ids=[str(n) for n in range(len(ODD))])
def test_no_address_however_it_is_written_makes_the_server_fail_or_shows_a_file(pages, cookie, path):
    for headers in ((f"Cookie: {cookie}",), ()):
        answer = ask(pages.url, path, *headers)
        assert answer.status < 500, path
        assert "Traceback" not in answer.body
        assert "root:" not in answer.body
        assert headers or answer.status in (400, 403, 414, 431), path
    arriving = ask(pages.url, f"{path}{'&' if '?' in path else '?'}token={TOKEN}")
    assert arriving.status < 500


def test_token_stands_in_no_line_of_the_server_whatever_asks_with_it(pages, cookie):
    wrong = "the-token-of-another-server"
    own = f"Origin: {pages.url}"
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        for token in (TOKEN, wrong):
            for path in (PAGE + "x", "/no-such-page", "/voila/static/x", "/voila/api/shutdown/x", "/%00"):
                for query in (
                    f"token={token}",
                    f"a=1&%74oken={token}&b=2",
                    f"token=x&token={token}",
                    f"?token={token}",
                ):
                    answer = ask(pages.url, f"{path}?{query}", f"Cookie: {cookie}", own, method=method)
                    assert token not in answer.head + answer.body, (method, path, query)
            referer = f"Referer: http://evil.example/?token={token}"
            ask(pages.url, "/no-such-page", f"Cookie: {cookie}", referer, method=method)
        ask(pages.url, f"/voila/static/{TOKEN}", f"Cookie: {cookie}", own, method=method)
    said = "".join(pages.said)
    assert "/no-such-page" in said, "nothing was logged, which proves nothing"
    assert TOKEN not in said
    assert wrong not in said


def test_cookie_is_of_one_server_and_no_other_is_given_it(pages, cookie, tmp_path, modelled):
    path = path_of_its_own(TOKEN)
    with serving(modelled, tmp_path, user=APPROVER, options=()) as second:
        assert httpx.get(f"{second.url}{path}", headers={"Cookie": cookie}, trust_env=False).status_code == 403
        # even under the name of the second one's own
        name = f"optinb-{urlsplit(second.url).port}"
        renamed = f"{name}={cookie.partition('=')[2]}"
        assert ask(second.url, path, f"Cookie: {renamed}").status == 403
        with httpx.Client(trust_env=False, timeout=60) as browser:
            # an address of before, as somebody may have kept it, leads to where the pages are now
            arrived = browser.get(f"{second.url}{PAGE}?token={TOKEN}")
            assert arrived.headers["location"] == f"{path}{PAGE[1:]}"
            assert f"Path={path}" in arrived.headers["set-cookie"]
            assert browser.get(f"{second.url}{path.rstrip('/')}{SCRIPT}").status_code == 200
            # a program on another port is asked for all that it can name, and is given no cookie
            asked = [browser.build_request("GET", f"{pages.url}{where}") for where in ("/", PAGE, SCRIPT)]
            assert [name in browser.send(request).request.headers.get("cookie", "") for request in asked] == [False] * 3
        assert ask(pages.url, SCRIPT, f"Cookie: {renamed}").status == 403


def test_behind_tls_the_cookie_is_secure_and_the_public_name_is_known(tmp_path, modelled):
    with serving(modelled, tmp_path, user=AUTHOR, options=("--public-url", PUBLIC)) as server:
        assert server.said[0].strip() == f"The pages, for you alone: {PUBLIC}?token=…"
        assert f"Ready at {PUBLIC}" in [line.strip() for line in server.said]
        arrived = ask(server.url, f"/pages/?token={TOKEN}", host="crm.example.com")
        assert arrived.status == 302
        cookie = re.findall(r"(?im)^set-cookie: ([^;]+);(.*)$", arrived.head)[0]
        assert "Secure" in cookie[1]
        assert "Path=/pages/" in cookie[1]
        given = f"Cookie: {cookie[0]}; _xsrf={XSRF}\r\nX-XSRFToken: {XSRF}"
        shutdown = "/pages/voila/api/shutdown/0b1e5a3c-1111-2222-3333-444455556666"
        for host, origin, told in (
            ("crm.example.com", "https://crm.example.com", 404),
            ("crm.example.com", "http://crm.example.com", 403),
            ("127.0.0.1:9999", "https://crm.example.com", 404),
            ("other.example.com", "https://crm.example.com", 403),
        ):
            answer = ask(server.url, shutdown, given, f"Origin: {origin}", method="POST", host=host)
            assert answer.status == told, (host, origin)
    # whoever asks in the clear can't make a cookie look as if it came by TLS, or the other way round
    with serving(modelled, tmp_path, user=AUTHOR) as server:
        plain = ask(server.url, f"/?token={TOKEN}", "X-Forwarded-Proto: https", "X-Scheme: https")
        assert "Secure" not in plain.head


def test_pages_tell_no_other_server_where_they_are_and_stand_in_no_frame(pages, cookie):
    for answer in (ask(pages.url, PAGE, f"Cookie: {cookie}"), ask(pages.url, "/")):
        assert "Referrer-Policy: same-origin" in answer.head
        assert "frame-ancestors 'none'" in answer.head


def test_public_address_that_is_none_is_named(folder, monkeypatch):
    monkeypatch.setattr("optinb.serve.pages.run", lambda *_: 0)
    with pytest.raises(UsageError, match=r"'crm\.example\.com' is no address; write one such as https://"):
        run_serve(folder, public_url="crm.example.com", say=print)


def test_path_of_a_server_is_told_by_its_token_alone():
    assert path_of_its_own(TOKEN) == path_of_its_own(TOKEN)
    assert path_of_its_own(TOKEN) != path_of_its_own(TOKEN + "x")
    assert re.fullmatch(r"/[\w-]{16}/", path_of_its_own(TOKEN))


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1", True), ("127.0.0.1:8866", True), ("[::1]:8866", True), ("localhost", True), ("crm.lan:80", True),
        ("192.0.2.7:8866", True), ("evil.example", False), ("localhost.evil.example", False), ("localhost@evil", False),
        ("", False), ("127.0.0.1:x", False), ("127.0.0.1/x", False), ("[::1", False), ("localhost.", False),
    ],
)  # fmt: skip
def test_names_of_this_machine_are_told_from_others(host, known):
    assert is_named_here(host, {"crm.lan"}) is known


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        (PUBLIC, "https://crm.example.com"),
        ("https://CRM.example.com:443/x", "https://crm.example.com"),
        ("http://crm.example.com:8080", "http://crm.example.com:8080"),
        ("http://[::1]:80/", "http://[::1]"),
        ("crm.example.com", ""),
        ("ftp://crm.example.com", ""),
        ("", ""),
    ],
)
def test_origin_of_an_address_leaves_out_its_usual_port(url, origin):
    assert origin_of(url) == origin


def test_requests_are_screened_by_what_they_say_of_themselves():
    own = {"Host": "127.0.0.1:1", "Origin": "http://127.0.0.1:1"}
    assert problem_of_request("POST", own, names=()) is None
    assert "--public-url" in (problem_of_request("POST", {**own, "Origin": PUBLIC}, names=()) or "")
    assert "(Origin)" in (problem_of_request("GET", {"Host": "127.0.0.1:1", "Upgrade": "websocket"}, names=()) or "")
    opened = {"Host": "127.0.0.1:1", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    assert problem_of_request("GET", opened, names=()) is None
    assert problem_of_path("/voila/render/plan%20b.ipynb") is None
    assert problem_of_path("/a..b/c") is None
    assert problem_of_path("/a/%2e%2E/c") is not None
