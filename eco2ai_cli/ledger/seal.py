"""Seal bytes so that nobody without the user's secret can read, alter, move or replace them.

A sealed file is text. Its first line names the format and holds what the file's own keys are made
with; each further line is a record. What nobody can see from the file is that records were cut
off at its end. The format is told in `docs/ledger.md`.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import NamedTuple

from eco2ai_cli.errors import LedgerError

MAGIC = b"eco2ai-sealed-1"
SALT_BYTES = 32
KEY_BYTES = 32
"""AES-256 (FIPS 197, 2001)."""
CHECK_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16
"""GCM's lengths by NIST SP 800-38D (2007), sections 5.2.1.1 and 8.2. Nonces are random: with
2^32 of them, which is more rows than anybody has, two are the same in 1 of 2^33 files."""
FIRST_LINK = bytes(TAG_BYTES)
"""In the place of the tag before the first record."""
_LEAST_BYTES = TAG_BYTES + NONCE_BYTES + TAG_BYTES
_INFO = b"eco2ai sealed ledger 1"
_MISSING = "sealing needs the package `cryptography`"
_INSTALL = "`pip install 'eco2ai-cli[seal]'`"


class Unsealed(NamedTuple):
    """A record that is genuine: its number, what it was written after, and what it says.

    `link` is the tag of the record before it, `tag` is its own.
    """

    number: int
    link: bytes
    tag: bytes
    content: bytes


class Altered(Exception):
    """A line that is no record, or not as it was sealed."""


class Seal:
    """The keys of one file. `header` is its first line, without the line end."""

    def __init__(self, header: bytes, secret: bytes) -> None:
        self.header = header
        salt, self._check = _parts_of(header)
        keys = _derived(secret, salt)
        self._wanted = keys[KEY_BYTES:]
        self._key = keys[:KEY_BYTES]

    @property
    def fits(self) -> bool:
        """Tell whether the file was begun with this secret."""
        import hmac

        return hmac.compare_digest(self._check, self._wanted)

    def record(self, number: int, link: bytes, content: bytes) -> bytes:
        """Return a sealed record as a line; `link` is the tag of the record before."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = _cipher(self._key).encrypt(nonce, content, self._about(number, link))
        return b"%d %b\n" % (number, base64.b64encode(link + nonce + sealed))

    def opened(self, line: bytes) -> Unsealed:
        """Return the record in a line, with or without its line end; raises Altered."""
        from cryptography.exceptions import InvalidTag

        number, data = numbered(line)
        link, nonce = data[:TAG_BYTES], data[TAG_BYTES : TAG_BYTES + NONCE_BYTES]
        sealed = data[TAG_BYTES + NONCE_BYTES :]
        try:
            content = _cipher(self._key).decrypt(nonce, sealed, self._about(number, link))
        except InvalidTag:
            raise Altered(f"record {number} is not as it was sealed") from None
        return Unsealed(number, link, sealed[-TAG_BYTES:], content)

    def _about(self, number: int, link: bytes) -> bytes:
        """Return what a record vouches for beside its content."""
        return b"%b\n%d %b" % (self.header, number, link)


def new_header(secret: bytes) -> bytes:
    """Return the first line of a new file, without the line end."""
    salt = os.urandom(SALT_BYTES)
    check = _derived(secret, salt)[KEY_BYTES:]
    return MAGIC + b" " + base64.b64encode(salt + check)


def numbered(line: bytes) -> tuple[int, bytes]:
    """Return the number of a record, as it is written, and its bytes; raises Altered."""
    number, _, text = line.rstrip(b"\r\n").partition(b" ")
    data = _bytes_of(text)
    if not (number.isdigit() and number[:1] != b"0" and len(data) >= _LEAST_BYTES):
        raise Altered("the line is no sealed record")
    return int(number[:18]), data


def ensure_installed() -> None:
    """Raise LedgerError where the package is missing that seals."""
    try:
        import cryptography.hazmat.primitives.ciphers.aead
        import cryptography.hazmat.primitives.kdf.hkdf  # noqa: F401
    except ImportError:
        raise LedgerError(_MISSING, hint=_INSTALL) from None


def _parts_of(header: bytes) -> tuple[bytes, bytes]:
    """Return the salt and the check of a first line; one that is damaged fits no secret."""
    data = _bytes_of(header.partition(b" ")[2])
    if len(data) != SALT_BYTES + CHECK_BYTES:
        return b"", b""
    return data[:SALT_BYTES], data[SALT_BYTES:]


def _bytes_of(text: bytes) -> bytes:
    """Return what base64 (RFC 4648, 2006) stands for; nothing if we would write it otherwise."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
    return data if base64.b64encode(data) == text else b""


def _derived(secret: bytes, salt: bytes) -> bytes:
    """Return the key of a file, and what shows that it is this one, by HKDF (RFC 5869, 2010)."""
    ensure_installed()
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES + CHECK_BYTES, salt, _INFO).derive(secret)


def _cipher(key: bytes):  # type: ignore[no-untyped-def]
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
