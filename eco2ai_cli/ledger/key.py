"""The secret with which the rows of a ledger are chained: read it from its file, or make one."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import NamedTuple

from eco2ai_cli.errors import LedgerError

LEAST_BYTES = 16
"""128 bits, which nobody can try out; NIST SP 800-107 (rev. 1, 2012) asks HMAC keys for 112."""
NEW_BYTES = 32
"""As many as SHA-256 puts out: a longer key makes HMAC no stronger (RFC 2104, section 3, 1997)."""
LONGEST_FILE_BYTES = 65536
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OWN_NAME = "ledger.key"
_ANOTHER = "make another with `eco2ai config init --ledger-key`"


class OwnKey(NamedTuple):
    """Where the user's own secret is, and whether it was made just now."""

    path: str
    is_new: bool

    @property
    def sentence(self) -> str:
        """What its user should know."""
        if self.is_new:
            return f"wrote the ledger key `{self.path}`: keep a copy of it in a safe place"
        return f"kept the ledger key `{self.path}`"


def load(path: str) -> bytes:
    """Return the secret in the file at `path`, without the white space around it.

    Raises LedgerError unless it is a regular file of this user or of root, which nobody else may
    read or write, with a secret of 16 bytes or more.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    try:
        _check(path, os.fstat(fd))
        secret = os.read(fd, LONGEST_FILE_BYTES).strip()
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(fd)
    if len(secret) < LEAST_BYTES:
        raise LedgerError(
            f"the ledger key `{path}` holds {len(secret)} bytes, fewer than {LEAST_BYTES}",
            hint=_ANOTHER,
        )
    return secret


def own_path(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return where the user's own secret is kept, beside the user's configuration.

    None without a home.
    """
    from eco2ai_cli.config import user_file

    own = user_file(environ)
    return None if own is None else os.path.join(os.path.dirname(own), _OWN_NAME)


def of_user(environ: Mapping[str, str] = os.environ) -> OwnKey:
    """Return the user's own secret, which is made if there is none.

    Raises LedgerError if it cannot be made, or is there and cannot be used.
    """
    path = own_path(environ)
    if path is None:
        raise LedgerError("there is no home for a ledger key", hint="set `HOME`")
    try:
        make(path)
    except FileExistsError:
        load(path)
        return OwnKey(path, is_new=False)
    return OwnKey(path, is_new=True)


def make(path: str) -> None:
    """Write a new secret to `path`, 64 hexadecimal digits that this user alone may read.

    Its folder is made where it is missing, for this user alone as well. Raises FileExistsError
    if anything has that name already, a link included, and LedgerError if it cannot be written.
    """
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        os.write(fd, os.urandom(NEW_BYTES).hex().encode() + b"\n")
        os.fsync(fd)  # rows that are chained with a lost key can never be checked
    except OSError as error:
        os.unlink(path)
        raise _unwritable(path, error) from None
    finally:
        os.close(fd)


def _check(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise LedgerError(f"the ledger key `{path}` is not a regular file", hint=_ANOTHER)
    if status.st_uid not in (0, os.geteuid()):
        raise LedgerError(
            f"the ledger key `{path}` belongs to another user", hint=f"copy it, or {_ANOTHER}"
        )
    if status.st_mode & _OF_OTHERS:
        raise LedgerError(
            f"the ledger key `{path}` is open to other users", hint=f"`chmod 600 {path}`"
        )


def _unwritable(path: str, error: OSError) -> LedgerError:
    return LedgerError(f"cannot write the ledger key `{path}`: {error.strerror}")


def _unreadable(path: str, error: OSError | ValueError) -> LedgerError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    hint = _ANOTHER
    if isinstance(error, FileNotFoundError):
        hint = (
            f"put your copy of it there (`chmod 600`), name the file where it is now by `[ledger] "
            f"key` or `ECO2AI_LEDGER_KEY`, or {_ANOTHER}"
        )
    return LedgerError(f"cannot read the ledger key `{path}`: {reason}", hint=hint)
