"""Asking a service where we are: a local one, honest and hostile; no other network."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wrapped import PATIENCE_S, only_row, run, wrapped

from eco2ai_cli import geolocation
from eco2ai_cli.config import Config
from eco2ai_cli.geolocation import CACHED_S, Question, cache_path, seek
from eco2ai_cli.geoservice import LIMIT_BYTES, LIMIT_S, ask
from eco2ai_cli.place import settle

Reply = Callable[[socket.socket], None]
CALIFORNIA = {"country_code": "US", "region": "California", "ip": "192.0.2.7"}


class Service:
    """A server that notes each request and hands the connection to `reply`."""

    def __init__(self, reply: Reply, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._reply = reply
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if context else "http"
        self.url = f"{scheme}://localhost:{self._listener.getsockname()[1]}/geo.json"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with contextlib.suppress(OSError), connection:
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        with connection:
            self.requests.append(connection.recv(4096))
            self._reply(connection)

    def close(self) -> None:
        self._listener.close()


def http(body: object, status: str = "200 OK", head: str = "", *, length: bool = True) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{head}"
    if length:
        lines += f"Content-Length: {len(content)}\r\n"
    return lambda connection: connection.sendall(f"{lines}\r\n".encode() + content)


def raw(content: bytes) -> Reply:
    return lambda connection: connection.sendall(content)


def dripping(connection: socket.socket) -> None:
    """Send a byte often enough that no time-out of a single read ends it."""
    until_s = time.monotonic() + 60
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000:
        connection.sendall(bytes([byte]))
        assert time.monotonic() < until_s
        time.sleep(0.02)


def silent(connection: socket.socket) -> None:
    connection.recv(1)  # until the other side has gone


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    services: list[Service] = []

    def start(reply: Reply, context: ssl.SSLContext | None = None) -> Service:
        services.append(Service(reply, context))
        return services[-1]

    yield start
    for service in services:
        service.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody trusts, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


# The question


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (CALIFORNIA, "US-CA"),
        ({"country_code": "CA", "region": "Quebec"}, "CA-QC"),
        ({"country_code": "NA", "region": "Khomas"}, "NA-KH"),
        ({"country_code": "PR", "region": "San Juan"}, "PR"),
        ({"country_code": "FR"}, "FR"),
        ({"country_code": "FR", "region": ""}, "FR"),
        ({"country_code": "FR", "region": None}, "FR"),
        ({"country_code": "FR", "region": 7}, "FR"),
        ({"country_code": "FR", "region": "California"}, "FR"),
        ({"country_code": "FR", "region": "\0/aws:us-east-1"}, "FR"),
        ({"country_code": "US", "region": "x" * 10_000}, "US"),
        ({"country_code": "IN", "region": "Punjab"}, "IN-PB"),
        ({"country_code": "US", "region": "Georgia"}, "US-GA"),
        ({"country_code": "US", "region": "Puerto Rico"}, "PR"),
        ({"country_code": "US", "region": "Ontario"}, "US"),
        ({"country_code": "NA", "region": "Paris, France"}, "NA"),
        ({"country_code": "US", "region": "x:aws:eu-west-3"}, "US"),
    ],
)
def test_an_answer_is_a_country_and_a_part_of_it_that_we_know(
    serve: Callable[..., Service], told: object, code: str
) -> None:
    service = serve(http(told))
    assert ask(service.url, allow_http=True) == code


def test_the_question_says_nothing_but_who_asks(serve: Callable[..., Service]) -> None:
    service = serve(http(CALIFORNIA))
    ask(service.url, allow_http=True)
    host = service.url.split("/")[2]
    assert service.requests[0].decode().split("\r\n") == [
        *("GET /geo.json HTTP/1.1", f"Host: {host}", "User-Agent: eco2ai"),
        *("Accept: application/json", "Connection: close", "", ""),
    ]


@pytest.mark.parametrize(
    "reply",
    [
        raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n"
            b'{"country_code":"FR"}\r\n0\r\n\r\n'
        ),
        http(b'{"country_code": "FR"}', length=False),
        raw(b'HTTP/1.0 200 OK\r\n\r\n{"country_code": "FR"}'),
    ],
)
def test_http_is_read_in_its_forms(serve: Callable[..., Service], reply: Reply) -> None:
    assert ask(serve(reply).url, allow_http=True) == "FR"


def test_an_answer_counts_though_the_connection_is_kept_open(
    serve: Callable[..., Service],
) -> None:
    def keep_open(connection: socket.socket) -> None:
        http({"country_code": "FR"})(connection)
        connection.recv(1)

    assert ask(serve(keep_open).url, limit_s=0.3, allow_http=True) == "FR"


HOSTILE: dict[str, Reply] = {
    "html": http(b"<!doctype html><html><body>FR</body></html>"),
    "html that calls itself 200": raw(b"<html>200 FR</html>"),
    "an empty body": http(b""),
    "a closed connection": raw(b""),
    "half a head": raw(b"HTTP/1.1 200 O"),
    "half a body": raw(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"country_code": "FR"}'),
    "python": http(b"__import__('os').abort()"),
    "null": http(None),
    "a list": http(["FR"]),
    "a text": http("FR"),
    "a number": http(7),
    "NaN": http(b"NaN"),
    "a country that is NaN": http(b'{"country_code": NaN}'),
    "a country that is a list": http({"country_code": ["FR"]}),
    "a country that is a table": http({"country_code": {"FR": 1}}),
    "a country that is null": http({"country_code": None}),
    "a number of many digits": http(b'{"country_code": ' + b"9" * 9000 + b"}"),
    "no country": http({"region": "California"}),
    "a country of nowhere": http({"country_code": "QQ"}),
    "a country in three letters": http({"country_code": "FRA"}),
    "the world": http({"country_code": "WORLD"}),
    "a country that parts a table": http({"country_code": ",\n"}),
    "a country that is half a character": http(b'{"country_code": "\\ud800\\ud800"}'),
    "deep nesting": http(b"[" * 60_000),
    "not utf-8": http(b'{"country_code": "\xff\xfe"}'),
    "too much": http(b" " * (LIMIT_BYTES + 1) + b'{"country_code": "FR"}'),
    "a head without end": raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * (2 * LIMIT_BYTES)),
    "many heads": raw(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 9000),
    "500": http({"country_code": "FR"}, "500 Internal Server Error"),
    "404": http({"country_code": "FR"}, "404 Not Found"),
    "429": http({"country_code": "FR"}, "429 Too Many Requests"),
    "204": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "a status that is no number": raw(b'HTTP/1.1 OK OK\r\n\r\n{"country_code": "FR"}'),
    "a chunk of no length": raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + b'{"country_code":"FR"}'
    ),
}


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_answer_is_none(serve: Callable[..., Service], reply: Reply) -> None:
    with pytest.raises((OSError, ValueError)):
        ask(serve(reply).url, allow_http=True)


@pytest.mark.parametrize("reply", [dripping, silent])
def test_the_limit_holds_for_the_whole_question(
    serve: Callable[..., Service], reply: Reply
) -> None:
    began_s = time.monotonic()
    with pytest.raises((OSError, ValueError)):
        ask(serve(reply).url, limit_s=0.3, allow_http=True)
    assert 0.2 < time.monotonic() - began_s < 0.3 + 1.0
    assert LIMIT_S == 2.0


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("scheme", ["http", "file", "ftp"])
def test_a_redirection_is_not_followed(
    serve: Callable[..., Service], status: str, scheme: str, tmp_path: Path
) -> None:
    elsewhere = serve(http({"country_code": "FR"}))
    (tmp_path / "fr.json").write_text('{"country_code": "FR"}')
    target = elsewhere.url if scheme == "http" else f"{scheme}://{tmp_path}/fr.json"
    service = serve(http({"country_code": "DE"}, status, f"Location: {target}\r\n"))
    with pytest.raises(ValueError, match="HTTP status 30"):
        ask(service.url, allow_http=True)
    assert elsewhere.requests == []


@pytest.mark.parametrize("url", ["ftp://localhost/x", "file:///etc/passwd", "x", "https://", ""])
def test_only_https_is_asked(url: str) -> None:
    with pytest.raises(ValueError, match="no https URL"):
        ask(url, allow_http=True)


def test_plain_http_is_refused_outside_of_tests(serve: Callable[..., Service]) -> None:
    service = serve(http(CALIFORNIA))
    with pytest.raises(ValueError, match="no https URL"):
        ask(service.url)
    assert service.requests == []


def test_nobody_at_the_address_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        ask(f"http://127.0.0.1:{port}/", allow_http=True)


def test_https_is_spoken_with_a_server_that_can_be_trusted(
    serve: Callable[..., Service],
    tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert ask(serve(http(CALIFORNIA), tls).url) == "US-CA"


def test_https_with_a_server_that_cannot_be_trusted_is_refused(
    serve: Callable[..., Service], tls: ssl.SSLContext
) -> None:
    service = serve(http(CALIFORNIA), tls)
    with pytest.raises(ssl.SSLError):
        ask(service.url)
    assert service.requests == []


def test_a_certificate_for_another_name_is_refused(
    serve: Callable[..., Service],
    tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(ssl.SSLError):
        ask(serve(http(CALIFORNIA), tls).url.replace("localhost", "127.0.0.1"))


def test_a_server_that_never_shakes_hands_is_left(serve: Callable[..., Service]) -> None:
    service = serve(silent)
    with pytest.raises(TimeoutError):
        ask(service.url.replace("http:", "https:"), limit_s=0.3)


# The day's cache


def question(service: Service, cache: Path | None, wall_s: float = 1e9) -> Any:
    path = None if cache is None else str(cache)
    return Question(service.url, cache=path, wall_s=wall_s, allow_http=True).answer(10)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "new" / "eco2ai" / "location.json"


def test_an_answer_is_kept_for_a_day(serve: Callable[..., Service], cache: Path) -> None:
    service = serve(http(CALIFORNIA))
    first = question(service, cache)
    assert (first.code, first.asked_s, first.is_cached) == ("US-CA", 1e9, False)
    assert first.service == service.url.split("/")[2]
    assert question(service, cache, 1e9 + CACHED_S - 1) == first._replace(is_cached=True)
    assert len(service.requests) == 1
    assert not question(service, cache, 1e9 + CACHED_S).is_cached
    assert len(service.requests) == 2


def test_an_answer_is_kept_for_the_user_alone_and_without_the_address(
    serve: Callable[..., Service], cache: Path
) -> None:
    question(serve(http(CALIFORNIA)), cache)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    assert set(json.loads(cache.read_text())) == {"code", "service", "asked"}
    assert [path.name for path in cache.parent.iterdir()] == ["location.json"]


def test_a_question_past_its_limit_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    # A look-up of names takes no limit.
    monkeypatch.setattr(geolocation, "ask", lambda *_, **__: released.wait(PATIENCE_S))
    monkeypatch.setattr(geolocation, "LIMIT_S", 0.0)
    question = Question(cache=None, wall_s=0.0)
    start_s = time.monotonic()
    try:
        assert question.answer(2.0) is None
        assert time.monotonic() - start_s < 1.0
    finally:
        released.set()


def test_no_answer_is_not_kept(serve: Callable[..., Service], cache: Path) -> None:
    assert question(serve(http(b"")), cache) is None
    assert not cache.exists()


@pytest.mark.parametrize(
    "kept",
    [
        *("", "null", "[]", "{", '{"code": "DE"}', "[" * 50_000, "\0\0\0"),
        '{"code": "QQ", "service": "HOST", "asked": 1e9}',
        '{"code": ["DE"], "service": "HOST", "asked": 1e9}',
        '{"code": "DE", "service": "HOST", "asked": NaN}',
        '{"code": "DE", "service": "HOST", "asked": "now"}',
        '{"code": "DE", "service": "HOST", "asked": 2e9}',
        '{"code": "DE", "service": "other.example", "asked": 1e9}',
        '{"code": "a,b", "service": "HOST", "asked": 1e9}',
    ],
)
def test_a_cache_that_makes_no_sense_is_asked_and_written_anew(
    serve: Callable[..., Service], cache: Path, kept: str
) -> None:
    service = serve(http(CALIFORNIA))
    cache.parent.mkdir(parents=True)
    cache.write_text(kept.replace("HOST", service.url.split("/")[2]))
    assert question(service, cache).code == "US-CA"
    assert question(service, cache).is_cached


def test_a_cache_that_cannot_be_kept_costs_only_the_next_question(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    service = serve(http(CALIFORNIA))
    for path in (tmp_path / "file" / "eco2ai" / "location.json", tmp_path, None):
        assert question(service, path).code == "US-CA"


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/eco2ai/location.json"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/eco2ai/location.json"),
        ({"XDG_CACHE_HOME": "c", "HOME": "/h"}, "/h/.cache/eco2ai/location.json"),
        ({"HOME": "h"}, None),
        ({}, None),
    ],
)
def test_the_cache_is_where_xdg_has_it(environ: dict[str, str], path: str | None) -> None:
    assert cache_path(environ) == path


# The place


def configured(locate: str, **values: Any) -> Config:
    return Config(locate=locate, **values)


def sought(service: Service, cache: Path, **values: Any) -> Any:
    config = configured("ip", **values)
    start = settle(config, {}, root=str(cache))
    assert start.may_ask
    environ = {"XDG_CACHE_HOME": str(cache)}
    return seek(start, config, environ, service=service.url, allow_http=True)()


def test_the_place_says_who_was_asked_and_when(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(http(CALIFORNIA))
    place = sought(service, tmp_path)
    host = service.url.split("/")[2]
    assert (place.region.code, place.source) == ("US-CA", f"ip {host}")
    assert "region-by-ip" in place.caveats
    assert not {"region-assumed", "locate-failed"} & place.caveats
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert sought(service, tmp_path).source == f"ip {host}, cached {today}"


@pytest.mark.parametrize("reply", [http(b""), http({"country_code": "AD"})])
def test_a_place_that_nobody_tells_or_that_has_no_figure_stays_what_it_was(
    serve: Callable[..., Service], tmp_path: Path, reply: Reply
) -> None:
    before = settle(configured("off"))
    place = sought(serve(reply), tmp_path)
    assert place.region.code == before.region.code == "WORLD"
    assert {"locate-failed", "region-assumed"} <= place.caveats


def test_a_users_pue_and_intensity_hold_wherever_it_is(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    place = sought(serve(http(CALIFORNIA)), tmp_path, pue=1.4, intensity_kg_per_mwh=7.0)
    assert (place.region.iso_code, place.pue, place.region.kg_per_mwh) == ("US-CA", 1.4, 7.0)


@pytest.mark.parametrize("locate", ["offline", "off"])
def test_nobody_is_asked_unless_the_user_says_so(locate: str) -> None:
    assert not settle(configured(locate)).may_ask


def test_nobody_is_asked_where_the_region_is_given() -> None:
    assert not settle(configured("ip", region="FR")).may_ask


# The run: through the command line, with the service replaced where it is named

_ASKING = """
import sys
import eco2ai_cli.geolocation as module, eco2ai_cli.location as location
ask = module.ask
module.ask = lambda service, *, allow_http: ask({url!r}, allow_http=True)
location.locate = lambda **_: None
from eco2ai_cli.cli import main
main()
"""


def asking(url: str, tmp_path: Path, command: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command line of a run that asks `url`, and its environment."""
    program = tmp_path / "asking.py"
    program.write_text(_ASKING.format(url=url))
    options = wrapped(command, tmp_path / "emission.csv")[3:]
    environ = os.environ | {
        "ECO2AI_REGION_LOCATE": "ip",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    return [sys.executable, str(program), *options], environ


def asking_run(url: str, tmp_path: Path) -> dict[str, str]:
    line, environ = asking(url, tmp_path, ["true"])
    done = run(line, env=environ)
    assert (done.returncode, done.stderr) == (0, b"")
    return only_row(tmp_path / "emission.csv")


def test_a_run_takes_the_region_that_the_service_tells(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    row = asking_run(serve(http(CALIFORNIA)).url, tmp_path)
    assert row["region/country"] == "US-CA"
    assert row["region_source"] == "ip get.geojs.io"
    assert "region-by-ip" in row["caveats"].split(";")


def test_a_run_does_not_wait_for_a_service_that_is_silent(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    began_s = time.monotonic()
    row = asking_run(serve(silent).url, tmp_path)
    assert time.monotonic() - began_s < LIMIT_S
    assert row["region/country"] == "WORLD"
    assert row["region_source"] == "default"
    assert {"locate-failed", "region-assumed"} <= set(row["caveats"].split(";"))


def test_a_signal_is_passed_on_while_a_service_is_asked(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(silent)
    line, environ = asking(service.url, tmp_path, ["sleep", str(PATIENCE_S)])
    with subprocess.Popen(line, env=environ) as process:
        while not service.requests and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == -signal.SIGTERM
    assert only_row(tmp_path / "emission.csv")["exit_status"] == "SIGTERM"
