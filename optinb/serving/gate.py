"""Who may see the served pages: whoever brings the token once, and then the cookie that it was exchanged for."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from msgspec import Struct
from tornado.web import create_signed_value, decode_signed_value

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

MIN_TOKEN = 16
DAYS = 7  # after which a browser must bring the token again
PARAMETER = "token"
_VALUE = "admitted"


class Gate(Struct, frozen=True, kw_only=True):
    """What a visitor must bring.

    `secret` signs the cookies of one server; with a new secret at each start, those of an earlier one don't count.
    Cookies are shared by all ports of a host, so that each server has a name of its own for its cookie.
    """

    token: str
    secret: bytes
    cookie: str

    def brings_token(self, request: HTTPServerRequest) -> bool:
        """Whether a request's address carries the token."""
        given = request.query_arguments.get(PARAMETER, [b""])[-1]
        return hmac.compare_digest(given, self.token.encode())

    def knows(self, request: HTTPServerRequest) -> bool:
        """Whether a request comes from a browser that has brought the token."""
        found = request.cookies.get(self.cookie)
        if found is None:
            return False
        return decode_signed_value(self.secret, self.cookie, found.value, max_age_days=DAYS) == _VALUE.encode()

    def pass_for(self) -> str:
        """The value of the cookie for a browser that has brought the token."""
        return create_signed_value(self.secret, self.cookie, _VALUE).decode()
