"""Take out what well-known programs take for a secret by an option of one letter, or by its place.

`-p` is a port, a path or a project far more often than a password: so only where the program is
known that it is for.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from eco2ai_cli.redaction.names import REDACTED, is_plain, names_a_secret

_USER_AND_PASSWORD = {"curl": "uU", "http": "a", "https": "a", "xh": "a"}
"""Short options whose value is `user:password` (curl 8 and HTTPie 3, by their manuals)."""
_LONG = frozenset({"--user", "--proxy-user"})
_PASSWORD = {
    "sshpass": "p", "redis-cli": "a", "mongo": "p", "mongosh": "p", "mongodump": "p",
    "mongorestore": "p", "zip": "P", "unzip": "P", "ldapsearch": "w", "sqlcmd": "P", "bcp": "P",
    "ipmitool": "P", "mysql": "p", "mysqldump": "p", "mysqladmin": "p", "mariadb": "p", "7z": "p",
}  # fmt: skip
"""Short options whose value is a password, by the manuals of these programs."""
_ATTACHED = frozenset({"mysql", "mysqldump", "mysqladmin", "mariadb", "7z"})
"""Programs that take it without a space or ask for it: the next word is something else."""
_LOGINS = frozenset({"docker", "podman", "helm", "az", "oras", "skopeo", "buildah", "wandb"})
_WANDB_KEY_CHARACTERS = 40
_SETTERS = frozenset({"set", "config", "--global", "--add", "-p", "--parameters"})
"""Behind these a name and its value may stand as two words, as in `aws configure set`."""
_KNOWN = (*_USER_AND_PASSWORD, *_PASSWORD, *_LOGINS, "dvc")
_ENDS = frozenset({";", "|", "&", "&&", "||"})
"""After these words a shell begins another command."""


def may_name_one(text: str) -> bool:
    """Tell whether a text may call one of the programs, or set a value by name."""
    return any(name in text for name in _KNOWN) or text in _SETTERS or " set " in text


def without_passwords(words: list[str]) -> list[str]:
    """Return words with `REDACTED` in the place of what their programs take for a secret."""
    found: list[str] = []
    program = option = ""
    is_login = False
    for number, word in enumerate(words):
        before = words[number - 1] if number else ""
        if option:
            word, option = _without_secret(program, word), ""
        elif word in _ENDS or before.endswith(";"):
            program, is_login = "", False
        if os.path.basename(word) in _KNOWN:
            program, is_login = os.path.basename(word), False
        elif word == "login":
            is_login = program in _LOGINS
        elif program or before:
            word, option = _looked_at(program, word, before, number, words, is_login=is_login)
        found.append(word)
    return found


def _looked_at(
    program: str, word: str, before: str, number: int, words: list[str], *, is_login: bool
) -> tuple[str, str]:
    """Return a word without the secret that it holds, and the option whose value is the next."""
    letters = _USER_AND_PASSWORD.get(program) or _PASSWORD.get(program) or ("p" * is_login)
    if letters and (word in _LONG and program == "curl"):
        return word, word
    if letters and word.startswith("-") and not word.startswith("--"):
        return _short(program, letters, word)
    if is_login and program == "wandb" and len(word) == _WANDB_KEY_CHARACTERS and word.isalnum():
        return REDACTED, ""
    is_value = number > 1 and (program == "dvc" or words[number - 2] in _SETTERS)
    if is_value and not before.startswith("-") and names_a_secret(before):
        return (word if is_plain(before, word) else REDACTED), ""
    return word, ""


def _short(program: str, letters: str, word: str) -> tuple[str, str]:
    """Look at a word of short options: the secret may be the rest of it, or the next word."""
    places = [place for place in map(word.find, letters) if place > 0]
    place = min(places, default=0)
    if not place or (place > 1 and not word[1:place].isalpha()):
        return word, ""
    rest = word[place + 1 :]
    if not rest:
        return word, "" if program in _ATTACHED else word
    if place > 1:  # `-out`: more options of one letter end with this one
        return word, ""
    return word[: place + 1] + _without_secret(program, rest), ""


def _without_secret(program: str, value: str) -> str:
    if program not in _USER_AND_PASSWORD:
        return REDACTED
    user, colon, password = value.partition(":")
    if not colon or not password.strip("\"'") or password.startswith("//"):
        return value
    quote = value[-1] if value[-1] in "\"'" else ""
    return f"{user}:{REDACTED}{quote}"


def in_script(text: str, clean: Callable[[list[str]], list[str]] = without_passwords) -> str:
    """Return a script without the passwords in the calls of programs that it makes."""
    import re

    parts = re.split(r"(\s+)", text)
    parts[::2] = clean(parts[::2])
    return "".join(parts)
