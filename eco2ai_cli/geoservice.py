"""Ask a service on the internet where our network address is, and believe it little.

The connection is read here and the response taken apart by `http.client` afterwards, because the
time-outs of a library count anew with every byte.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from eco2ai_cli import gazetteer

if TYPE_CHECKING:
    from io import BytesIO
    from socket import socket

SERVICE = "https://get.geojs.io/v1/ip/geo.json"
"""Wants no key; answers with `country_code` and `region`, an English name (geojs.io, 2026)."""

LIMIT_S = 2.0
"""From the start of the question to the last byte of the answer."""

LIMIT_BYTES = 65_536


def ask(service: str = SERVICE, *, limit_s: float = LIMIT_S, allow_http: bool = False) -> str:
    """Return the ISO code of the place where `service` sees us.

    Raises OSError when it cannot be reached in time, and ValueError when it answers anything but
    a short JSON object with a country that we know. A redirection is no answer.
    """
    body = _get(service, time.monotonic() + limit_s, allow_http)
    import json

    try:
        return _code(json.loads(body))
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"an answer without a country: {error!r}") from None


def _code(told: Mapping[str, object]) -> str:
    """Return the code of the country in an answer, or of its subdivision where we know it."""
    country, part = told["country_code"], told.get("region")
    if not isinstance(country, str) or len(country) != 2 or not gazetteer.known(country):
        raise ValueError("not a country that we know")
    if isinstance(part, str):
        codes = gazetteer.resolve(f"{country}/{part}")[0]
        if len(codes) == 1:
            return codes[0]
    return country


def _get(service: str, until_s: float, allow_http: bool) -> bytes:
    """Return the body of the answer to a GET, by `until_s` of the monotonic clock."""
    from urllib.parse import urlsplit

    url = urlsplit(service)
    is_https = url.scheme == "https"
    if not url.hostname or not (is_https or (allow_http and url.scheme == "http")):
        raise ValueError(f"`{service}` is no https URL")
    request = (
        f"GET {url.path or '/'} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: eco2ai\r\n"
        "Accept: application/json\r\nConnection: close\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        connection = _connected(url.hostname, url.port or (443 if is_https else 80), until_s)
        stack.enter_context(connection)
        if is_https:
            import ssl

            connection.settimeout(_left_s(until_s))  # the whole handshake has to keep it
            context = ssl.create_default_context()
            connection = context.wrap_socket(connection, server_hostname=url.hostname)
            stack.enter_context(connection)
        connection.settimeout(_left_s(until_s))
        connection.sendall(request.encode("ascii"))
        return _body(_read(connection, until_s))


def _connected(host: str, port: int, until_s: float) -> socket:
    """Return a connection to the first address of `host` that takes one."""
    import socket

    error: OSError = OSError(f"`{host}` has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        connection = socket.socket(family, kind, protocol)
        try:
            # Half of what is left: an address that is silent leaves time for the next.
            connection.settimeout(_left_s(until_s) / 2)
            connection.connect(address)
            return connection
        except OSError as failed:
            connection.close()
            error = failed
    raise error


def _read(connection: socket, until_s: float) -> bytes:
    """Return what comes until the other side is done or the time is up; OSError: too much."""
    parts = []
    size = 0
    with contextlib.suppress(TimeoutError):  # it may be whole, and the connection kept open
        while True:
            connection.settimeout(_left_s(until_s))
            part = connection.recv(16_384)
            if not part:
                break
            parts.append(part)
            size += len(part)
            if size > LIMIT_BYTES:
                raise OSError(f"more than {LIMIT_BYTES} bytes")
    return b"".join(parts)


def _left_s(until_s: float) -> float:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("no answer in time")
    return left_s


class _Received:
    """What was received, in the shape in which `http.client` takes a socket."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, *_: object) -> BytesIO:
        from io import BytesIO

        return BytesIO(self._raw)


def _body(raw: bytes) -> bytes:
    """Return the body of an HTTP response whose status is 200."""
    from http.client import HTTPException, HTTPResponse

    response = HTTPResponse(_Received(raw))  # type: ignore[arg-type]
    try:
        response.begin()
        if response.status != 200:
            raise ValueError(f"HTTP status {response.status}")
        return response.read()
    except HTTPException as error:
        raise ValueError(f"not HTTP: {error!r}") from None
