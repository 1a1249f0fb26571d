"""Addresses of the network in the settings: what is wrong with one, in a phrase. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

EXAMPLE_API = "https://rest.iad-01.braze.com"
EXAMPLE_HUB = "https://hub.example.com/hub/api"
EXAMPLE_PROXY = "http://proxy.example.com:3128"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine, as a sandbox's is."""
    return urlsplit(url).hostname in LOOPBACK


def problem_of_api(api: str, *, plain_http_hosts: Collection[str] = ()) -> str | None:
    """Why requests with a key can't go to an address of the API, None if they can.

    Plain HTTP is for this machine, and for `plain_http_hosts`, where somebody has said that the key may be read on
    the way.
    """
    return _problem(api, plain_http_hosts, secret="key", where="the credential is named by key", example=EXAMPLE_API)


def problem_of_hub(hub: str, *, plain_http_hosts: Collection[str] = ()) -> str | None:
    """Why a JupyterHub can't be asked at an address whose a token is, None if it can. Plain HTTP as for an API."""
    where = "the token comes from the environment"
    problem = _problem(hub, plain_http_hosts, secret="token", where=where, example=EXAMPLE_HUB)
    if problem is None and not hub.rstrip("/").endswith("/hub/api"):
        return f"{hub!r} isn't the address of a hub's API, which ends in /hub/api; write one such as '{EXAMPLE_HUB}'"
    return problem


def _problem(api: str, plain_http_hosts: Collection[str], *, secret: str, where: str, example: str) -> str | None:
    if "@" in api:
        # the address isn't shown: what stands before the @ may be a password
        return f"an address must not hold a user name or a password; {where}"
    try:
        url = urlsplit(api)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and not re.search(r"\s", api)
    except ValueError as error:
        return f"{api!r} is no address ({error}); write one such as '{example}'"
    if not usable:
        return f"{api!r} is no address; write one such as '{example}'"
    if "?" in api or "#" in api:
        return f"{api!r} must not have a query or a fragment; write the part before it only"
    if url.scheme == "http" and url.hostname not in LOOPBACK and url.hostname not in plain_http_hosts:
        return (
            f"{api!r} would send the {secret} in the clear; write https://, or allow it by name: "
            f'[network] plain_http_hosts = ["{url.hostname}"]'
        )
    return None


def problem_of_proxy(proxy: str) -> str | None:
    """Why a text is no address of a proxy, None if it is one. It is never shown: it may hold a password."""
    try:
        url = urlsplit(proxy)
        if re.fullmatch(r"socks\w*", url.scheme):
            return f"only http:// and https:// proxies are known here, no SOCKS; write one such as '{EXAMPLE_PROXY}'"
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and len(proxy.split()) == 1
    except ValueError:
        usable = False
    return None if usable else f"what is written there is no address; write one such as '{EXAMPLE_PROXY}'"


def problem_of_host(host: str) -> str | None:
    """Why a text is no bare host name in lower case, None if it is one."""
    if re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", host):
        return None
    return f"{host!r} is no host; write its name only, in lower case, such as 'appboy-gateway.example.com'"


def problem_of_outgoing(address: str) -> str | None:
    """Why a text is neither an IP address nor a range of them, None if it is one."""
    try:
        ip_network(address)
    except ValueError:
        return f"{address!r} is no IP address; write one such as '203.0.113.7', or a range such as '203.0.113.0/28'"
    return None


def is_named_here(host: str, names: Collection[str] = ()) -> bool:
    """Whether the `Host` of a request names a server on this machine: in numbers, as localhost, or one of `names`.

    A page of somebody else can let a name of its own lead here (DNS rebinding), but then asks for that name.
    """
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", host):
        return False
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or name in names
    return True


def origin_of(url: str) -> str:
    """The `Origin` that a browser names for the pages of an address, such as `https://crm.example.com`; "" for none."""
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    if usual is None or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, usual) else f":{parts.port}")
