"""Where does a service on the internet see us? Asked once a day, for those who say so.

In a daemon thread, for a look-up of names may hang and nothing ends it. The thread forks nothing
and takes no signal: all are blocked before the command starts, and a thread inherits that.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from eco2ai_cli import gazetteer, regions
from eco2ai_cli.config import Config
from eco2ai_cli.geoservice import LIMIT_BYTES, LIMIT_S, SERVICE, ask
from eco2ai_cli.place import Place, at
from eco2ai_cli.regions import RegionNotFound

CACHED_S = 24 * 3600.0

PATIENCE_S = 0.5
"""How long the end of a run waits for an answer that is still under way."""


def seek(
    place: Place,
    config: Config,
    environ: Mapping[str, str] = os.environ,
    *,
    service: str = SERVICE,
    allow_http: bool = False,
) -> Callable[[], Place]:
    """Start to ask where we are; return what tells the final place.

    That waits for the answer no longer than `PATIENCE_S`. Without one it is `place`, with the
    caveat `locate-failed`.
    """
    question = Question(
        service, cache=cache_path(environ), wall_s=time.time(), allow_http=allow_http
    )
    return lambda: _final(place, question.answer(PATIENCE_S), config)


def _final(place: Place, answer: Answer | None, config: Config) -> Place:
    if answer is not None:
        source = f"ip {answer.service}"
        if answer.is_cached:
            source += time.strftime(", cached %Y-%m-%d", time.gmtime(answer.asked_s))
        with contextlib.suppress(RegionNotFound):
            region = regions.lookup(answer.code, config.coefficients)
            region = region._replace(caveats=region.caveats | {"region-by-ip"})
            return at(region, config, source)
    return place._replace(caveats=place.caveats | {"locate-failed"})


class Answer(NamedTuple):
    """Where a service says that we are: `code` is ISO's, `asked_s` the Unix time of the question.

    `service` is the name of its host.
    """

    code: str
    service: str
    asked_s: float
    is_cached: bool = False


class Question:
    """A question that is under way in the background: to the cache first, then to `service`.

    `cache`: the path of its file; None: there is none. `wall_s`: now, as a Unix time.
    `allow_http`: for tests; without it the URL has to be https.
    """

    def __init__(
        self,
        service: str = SERVICE,
        *,
        cache: str | None,
        wall_s: float,
        allow_http: bool = False,
    ) -> None:
        import threading

        self._service = service
        self._cache = cache
        self._wall_s = wall_s
        self._allow_http = allow_http
        self._until_s = time.monotonic() + LIMIT_S
        self._answer: Answer | None = None
        self._thread = threading.Thread(target=self._run, name="eco2ai-locate", daemon=True)
        self._thread.start()

    def answer(self, patience_s: float) -> Answer | None:
        """Return the answer, waiting for it `patience_s` at the most; None: there is none.

        A question past its limit still waits for a look-up of names, and comes to nothing.
        """
        self._thread.join(max(0.0, min(patience_s, self._until_s - time.monotonic())))
        return self._answer

    def _run(self) -> None:
        # Whatever goes wrong here is no more than an answer that does not come.
        with contextlib.suppress(Exception):
            service = self._service.split("/")[2]
            self._answer = _remembered(self._cache, service, self._wall_s)
            if self._answer is None:
                code = ask(self._service, allow_http=self._allow_http)
                self._answer = Answer(code, service, self._wall_s)
                _remember(self._cache, self._answer)


def cache_path(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return where an answer is kept for a day; None where the user has no such folder."""
    folder = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(folder):  # the XDG specification has relative paths ignored
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            return None
        folder = os.path.join(home, ".cache")
    return os.path.join(folder, "eco2ai", "location.json")


def _remembered(cache: str | None, service: str, wall_s: float) -> Answer | None:
    """Return the answer of the last day that is in the cache; None: there is none of use."""
    if cache is None:
        return None
    import json

    try:
        with open(cache, encoding="utf-8") as file:
            kept = json.loads(file.read(LIMIT_BYTES))
        code, asked_s = kept["code"], float(kept["asked"])
        fresh = 0 <= wall_s - asked_s < CACHED_S
        if fresh and kept["service"] == service and isinstance(code, str) and gazetteer.known(code):
            return Answer(code, service, asked_s, is_cached=True)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        pass  # a cache that makes no sense is written anew
    return None


def _remember(cache: str | None, answer: Answer) -> None:
    """Keep an answer, whole or not at all, for this user alone; raises OSError."""
    if cache is None:
        return
    import json
    import tempfile

    folder = os.path.dirname(cache)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    number, path = tempfile.mkstemp(dir=folder)  # 0600
    try:
        with open(number, "w", encoding="utf-8") as file:
            kept = {"code": answer.code, "service": answer.service, "asked": answer.asked_s}
            json.dump(kept, file)
        os.replace(path, cache)
    except OSError:
        os.unlink(path)
        raise
