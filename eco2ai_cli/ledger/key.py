"""The secret with which the rows of a ledger are chained: read it from its file, or make one."""

from __future__ import annotations

import os
import stat

from eco2ai_cli.errors import LedgerError

LEAST_BYTES = 16
"""128 bits, which nobody can try out; NIST SP 800-107 (rev. 1, 2012) asks HMAC keys for 112."""
NEW_BYTES = 32
"""As many as SHA-256 puts out: a longer key makes HMAC no stronger (RFC 2104, section 3, 1997)."""
LONGEST_FILE_BYTES = 65536
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ANOTHER = "make another with `eco2ai config init --ledger-key`"


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
    return LedgerError(f"cannot read the ledger key `{path}`: {reason}", hint=_ANOTHER)
