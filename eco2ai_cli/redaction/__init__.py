"""Take secrets out of a command line before it is kept anywhere.

What is known of a secret is the name before it (`names`), its own shape or its place in a URL
(`shapes`), or the program that it is for (`programs`).
"""

from __future__ import annotations

from collections.abc import Sequence

from eco2ai_cli.redaction.names import HINTS, REDACTED, is_plain, names_a_secret
from eco2ai_cli.redaction.programs import in_script, may_name_one, without_passwords
from eco2ai_cli.redaction.shapes import without_shapes

__all__ = ["REDACTED", "command_line", "redacted"]

_NAMED = (
    r"(?i:(?:password|passwd|passphrase|passcode|passkey|secret|secret_key_base|credentials?|token"
    r"|pwd|pass|jwt|pat|[_-]pw|[a-z]key|[_-]key(?:[_-]?id)?|auth|webhook_url)\d{0,2})"
    r"(?P<sep>\\?[\"']\s*:\s*|\\?[\"']?\s*=(?!=)\s*|\s*:\s+|:|\s+)"
    r"(?P<value>\\\"(?:[^\"\\]|\\(?!\"))*\\\"|\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s\"'&;|,)}\]\\]+)"
)
"""Within a longer text: the end of a name that may be one of a secret, what parts it from the
value, and the value."""

_SEPARATORS = "= :&;,?\n\t\"'"


def command_line(argv: Sequence[bytes], keep: str) -> str | None:
    """Return a command line as it may be kept, quoted so that a shell would read the same words.

    `keep` is `[ledger] command`: all of it (`full`), its first word (`program`) or nothing
    (`none`), which is None. Secrets are taken out in any case.
    """
    import os
    import shlex

    if keep == "none":
        return None
    words = argv if keep == "full" else argv[:1]
    return shlex.join(redacted([os.fsdecode(word) for word in words]))


def redacted(argv: Sequence[str]) -> list[str]:
    """Return the words of a command line with `REDACTED` in the place of every known secret."""
    if any(map(may_name_one, argv)):
        argv = without_passwords(list(argv))
    words: list[str] = []
    name = ""  # of an option whose value is the next word
    for word in argv:
        if name and not word.startswith("-"):
            words.append(word if is_plain(name, word) else REDACTED)
            name = ""
            continue
        option, equals, value = word.partition("=")
        name = option if option.startswith("-") and not equals and names_a_secret(option) else ""
        if equals and value and names_a_secret(option) and not is_plain(option, value):
            words.append(f"{option}={REDACTED}")
        else:
            words.append(_without_secrets(word))
    return words


def _without_secrets(text: str) -> str:
    """Return a word, perhaps a whole script, without the secrets that it holds somewhere."""
    text = without_shapes(text)
    if " " in text and may_name_one(text):
        text = in_script(text)
    lower = text.lower()
    rest = text.replace("=", "", 1)  # the caller knows what `NAME=VALUE` is as a whole
    if any(hint in lower for hint in HINTS) and any(sign in rest for sign in _SEPARATORS):
        return _without_named(text)
    return text


def _without_named(text: str) -> str:
    import re

    parts: list[str] = []
    position = 0
    pattern = re.compile(_NAMED)
    while found := pattern.search(text, position):
        name = _name_before(text, found.start()) + text[found.start() : found.start("sep")]
        value = found["value"]
        if (
            _is_assigned(name, found["sep"], value)
            and names_a_secret(name)
            and not is_plain(name, value)
        ):
            mark = value[: len(value) - len(value.lstrip("\\\"'"))]
            parts += (text[position : found.start("value")], mark, REDACTED, mark)
            position = found.end()
        else:
            parts.append(text[position : found.start("value")])
            position = found.start("value")
    return "".join((*parts, text[position:]))


def _is_assigned(name: str, separator: str, value: str) -> bool:
    """Tell whether a text gives a value to a name, and does not merely speak of it."""
    if separator.isspace():
        return name.startswith("-") and not value.startswith("-")
    # `X-Api-Key: X` is a header, while prose has "the secret: never give up"
    return separator.strip() != ":" or "-" in name or "_" in name


def _name_before(text: str, end: int) -> str:
    """Return the part of a name that ends at `end`, of 64 characters at most."""
    start = end
    while start > max(0, end - 64) and (text[start - 1].isalnum() or text[start - 1] in "_-."):
        start -= 1
    return text[start:end]
