"""Read the line of a mark: what a shell's `echo`, an R script or a JSON logger writes."""

from __future__ import annotations

import re
from typing import NamedTuple

from eco2ai_cli.marks.send import CUT, LIMIT, cut

_QUOTED = r'"(?:[^"\\]|\\.)*(?:"|$)|' r"'[^']*(?:'|$)"
_SEPARATOR = r"[\s,;]"
# A comma within `[1,2]` or `0,21` is part of the value, one before ` acc=0.9` or `acc=0.9` is not.
_BARE = r"[^\s,;]*(?:,(?!\s|$|[^\s=,;]+=)[^\s,;]*)*"
_ITEM = re.compile(
    rf"(?P<key>{_QUOTED}|[^\s=,;\"']+)=(?P<value>{_QUOTED}|{_BARE})"
    rf"|(?P<label>[^\s=:,;\"']+):\s+(?P<plain>{_QUOTED}|[^\s=,;\"']+(?<!:)(?={_SEPARATOR}|$))"
    rf"|(?P<word>{_QUOTED}|[^\s=,;\"']+)"
)
_SEPARATORS = re.compile(rf"{_SEPARATOR}*")
_NUMBERED = re.compile(
    r"(?:epoch\s*[:#]?\s*)?\[?(\d+(?:\.\d+)?)(?:\s*(?:/|of)\s*(\d{1,9}))?\]?:?", re.IGNORECASE
)
_UNQUOTED_NAME = re.compile(r"(?:epoch:?\s+)?([^\s]*[^\s:](?:\s+\d+(?:/\d+)?)?):?", re.IGNORECASE)
_MOST_ATTEMPTS = 16  # to find the last whole pair of a JSON object that was cut


class NotAMark(ValueError):
    """A line that is no mark; the message says why."""


class Mark(NamedTuple):
    """The end of an epoch.

    `name`: None for the next number. `total`: how many epochs there will be, where the line says
    so. `is_cut`: the line was longer than LIMIT, and its end is lost.
    """

    name: str | None
    values: tuple[tuple[str, str], ...] = ()
    total: int | None = None
    is_cut: bool = False


def parse(line: bytes) -> Mark:
    """Read a line, with or without its end; raises NotAMark.

    A line is `[NAME] [KEY=VALUE]...` or a JSON object. NAME is a number, `epoch` and a number or a
    word, a word, a word and a number, or anything in quotes. `3/10` tells the total as well.
    """
    line = line.rstrip(b"\r\n")
    is_cut = len(line) >= LIMIT or (len(line) > LIMIT - 8 and line.endswith(CUT.encode()))
    if len(line) >= LIMIT:
        line = cut(line, LIMIT - 1) + CUT.encode()
    text = line.decode("utf-8", "surrogateescape").strip()
    name, pairs = _from_json(text, is_cut) if text.startswith("{") else _from_words(text)
    values = []
    for key, value in pairs:
        if not name and key.lower() == "epoch":
            name = value
        elif not key or not key.isprintable():
            raise NotAMark("the name of a value is not printable")
        else:
            values.append((key, printable(value)))
    if not name.isprintable():
        raise NotAMark("the name of the epoch is not printable")
    return Mark(*_numbered(name, tuple(values)), is_cut)


def label(mark: Mark, number: int) -> str:
    """Return the ledger's cell `epoch` as eco2AI writes it: `epoch: 3, loss: 0.21`.

    `number`: that of the epoch in its run, for a mark without a name.
    """
    name = str(number) if mark.name is None else mark.name
    return ", ".join(f"{key}: {_clear(value)}" for key, value in (("epoch", name), *mark.values))


def printable(text: str) -> str:
    r"""Return the text with control characters, and bytes that are no UTF-8, as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable()
        else f"\\x{ord(letter) - 0xDC00:02x}"  # as the error handler surrogateescape put it there
        if "\udc80" <= letter <= "\udcff"
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _clear(value: str) -> str:
    """Return a value so that it cannot be taken for two."""
    if "," in value or '"' in value or value != value.strip():
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value


def _from_words(text: str) -> tuple[str, list[tuple[str, str]]]:
    words: list[str] = []
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        item = _ITEM.match(text, at)
        if item is None:
            raise NotAMark("there is neither a name nor KEY=VALUE in it")
        if item["word"] is None:
            value = item["plain"] if item["value"] is None else item["value"]
            pairs.append((_unquoted(item["key"] or item["label"]), _unquoted(value)))
        elif pairs:
            raise NotAMark("a word after KEY=VALUE is no KEY=VALUE")
        else:
            words.append(item["word"])
        at = _SEPARATORS.match(text, item.end()).end()  # type: ignore[union-attr]  # always matches
    if len(words) == 1 and words[0][0] in "\"'":
        return _unquoted(words[0]), pairs
    name = " ".join(words)
    if not name or _NUMBERED.fullmatch(name):
        return name, pairs
    unquoted = _UNQUOTED_NAME.fullmatch(name)
    if unquoted is None or not any(map(str.isalnum, name)):
        raise NotAMark("it does not begin with the name of an epoch")
    return unquoted[1], pairs


def _unquoted(text: str) -> str:
    if text.startswith("'"):
        return text[1:].removesuffix("'")
    if not text.startswith('"'):
        return text
    whole = re.fullmatch(r'"((?:[^"\\]|\\.)*)"?\\?', text)
    return re.sub(r'\\(["\\])', r"\1", whole[1] if whole else text[1:])


def _from_json(text: str, is_cut: bool) -> tuple[str, list[tuple[str, str]]]:
    import json  # for those who write it

    found = None
    for _ in range(_MOST_ATTEMPTS):
        if is_cut:  # close it before the pair that is not whole
            text = text[: max(text.rfind(","), 0)]
        try:
            found = json.loads(text + "}" if is_cut else text)
            break
        except (ValueError, RecursionError):
            if not is_cut:
                break
    if not isinstance(found, dict):
        raise NotAMark("it is no JSON object")
    pairs = [
        (key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for key, value in found.items()
    ]
    return "", pairs


def _numbered(
    name: str, values: tuple[tuple[str, str], ...]
) -> tuple[str | None, tuple[tuple[str, str], ...], int | None]:
    """Return the name without the word `epoch` and the total, the values, and the total."""
    if name.strip().rstrip(":").lower() in ("", "epoch"):
        return None, values, None
    numbered = _NUMBERED.fullmatch(name.strip())
    if numbered is None:
        return name, values, None
    total = int(numbered[2]) if numbered[2] else None
    return numbered[1].removesuffix(".0"), values, total or None
