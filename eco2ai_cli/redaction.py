"""Take secrets out of a command line before it is kept anywhere.

What is known of a secret is the name before it (`--password X`, `HF_TOKEN=X`, `"api_key": "X"`),
its place in a URL (`https://user:X@host`) or its own shape (`ghp_…`). Short options are left
alone: `-p` is a port, a path or a project far more often than a password.
"""

from __future__ import annotations

from collections.abc import Sequence

REDACTED = "REDACTED"
"""A word that no shell has to quote."""

_ENDS = (
    "password", "passwd", "passphrase", "passcode", "passkey", "secret", "secretkeybase",
    "credential", "credentials", "token", "apikey", "accesskey", "accesskeyid", "secretkey",
    "privatekey", "accountkey", "authkey", "encryptionkey", "signingkey", "licensekey",
    "subscriptionkey", "masterkey", "sharedkey", "webhookurl", "webhook", "creds", "passwords",
    "secrets", "apikeys", "storepass", "keypass",
)  # fmt: skip
"""How the names of secrets end, without case and what parts their words."""
_WHOLE = frozenset({"auth", "basicauth", "httpauth", "pass", "pw", "authorization", "cookie"})
_SHORT_ENDS = ("pass", "pwd")
"""Names of secrets only behind another word, as in `DB_PASS`; `PWD` is the current folder, but no
option of that name is."""
_NOT_BEFORE_PASS = frozenset({"by", "one", "two", "multi", "single", "first", "second", "n", "num"})
_NOT_BEFORE_KEY = frozenset(
    {
        "cache",
        "group",
        "hot",
        "index",
        "metric",
        "partition",
        "primary",
        "public",
        "routing",
        "sort",
    }
)
_NOT_BEFORE_TOKEN = frozenset(
    {
        "begin", "bos", "cls", "context", "decoder", "end", "eos", "extra", "first", "image",
        "last", "mask", "max", "min", "new", "next", "num", "pad", "padding", "per", "prompt",
        "sep", "special", "start", "stop", "target", "unk", "word",
    }
)  # fmt: skip
"""What makes a token one of a language model's."""
_FLAGS = ("no", "ask", "prompt", "require", "skip", "show", "hide", "reset", "forget")
"""First words of options that take no secret: `--no-password`."""
_PLAIN = frozenset({"", "true", "false", "none", "null", "yes", "no", "auto"})

_NAMED = (
    r"(?i:(?:password|passwd|passphrase|passcode|passkey|secret|secret_key_base|credentials?|token"
    r"|pwd|pass|[a-z]key|[_-]key(?:[_-]?id)?|auth|webhook_url)\d{0,2})"
    r"(?P<sep>\\?[\"']\s*:\s*|\\?[\"']?\s*=(?!=)\s*|\s*:\s+|:|\s+)"
    r"(?P<value>\\\"(?:[^\"\\]|\\(?!\"))*\\\"|\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s\"'&;|,)}\]\\]+)"
)
"""Within a longer text: the end of a name that may be one of a secret, what parts it from the
value, and the value."""

_SHAPES = (
    (("authorization", "cookie"),
     r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\\?[\"']?\s*[:=]\s*\\?[\"']?)[^\"'\r\n\\]+",
     rf"\1\2{REDACTED}"),
    (("bearer",), r"(?i)\b(bearer)\s+[\w.~+/=-]{12,}", rf"\1 {REDACTED}"),
    (("@",), r"(\b[A-Za-z][A-Za-z0-9+.-]{0,30}://)(?:[^\s/?#\"'@:]{0,512}:[^\s/?#\"']{0,2048}"
               r"|[^\s/?#\"'@:]{20,2048})@",
     rf"\1{REDACTED}@"),
    (("sig=", "signature=", "credential="),
     r"(?i)([?&](?:sig|signature|x-(?:amz|goog)-(?:signature|credential))=)[^\s&\"'#]+",
     rf"\1{REDACTED}"),
    (("akia", "asia"), r"\bA(?:KI|SI)A[0-9A-Z]{16}\b", REDACTED),
    (("hf_", "ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "npm_", "r8_", "dapi"),
     r"\b(?:(?:hf_|gh[opsur]_|npm_|r8_|dapi)[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
     REDACTED),
    (("hooks.slack.com/",),
     r"(\bhooks\.slack\.com/(?:services|workflows|triggers)/)[\w/-]+", rf"\1{REDACTED}"),
    (("glpat-", "xox", "aiza", "pypi-", "nvapi-"),
     r"\b(?:glpat-|xox[abeprs]-|AIza|pypi-A|nvapi-)[\w-]{10,}", REDACTED),
    (("sk-", "sk_live", "rk_live"),
     r"\bsk-(?=[\w-]{0,80}?[A-Z])(?=[\w-]{0,80}?\d)[\w-]{20,}|\b[rs]k_live_\w{16,}", REDACTED),
    (("eyj",), r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*", REDACTED),
    (("private key",),
     r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)[^-]*(?:-----END [A-Z ]{0,30}-----)?",
     rf"\1{REDACTED}"),
)  # fmt: skip
"""Secrets that show themselves: without these words (in lower case) a text holds none; the
pattern; what takes its place. Shapes of keys as GitHub, GitLab, AWS, Hugging Face, OpenAI, Google,
Slack, npm, PyPI, NVIDIA and Stripe document them (2024); the JWT of RFC 7519 (2015)."""

_HINTS = (
    "pass", "pwd", "secret", "cred", "token", "key", "auth", "webhook", "pw",
)  # fmt: skip

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
    words: list[str] = []
    name = ""  # of an option whose value is the next word
    for word in argv:
        if name and not word.startswith("-"):
            words.append(word if _is_plain(name, word) else REDACTED)
            name = ""
            continue
        option, equals, value = word.partition("=")
        name = option if option.startswith("-") and not equals and _names_a_secret(option) else ""
        if equals and value and _names_a_secret(option) and not _is_plain(option, value):
            words.append(f"{option}={REDACTED}")
        else:
            words.append(_without_secrets(word))
    return words


def _names_a_secret(name: str) -> bool:
    """Tell whether an option, a variable or a key of this name holds a secret."""
    lower = name.strip("-\"'").lower().rstrip("0123456789")
    if not any(hint in lower for hint in _HINTS) or not lower.replace("-", "").isidentifier():
        if "." not in lower:
            return False
        lower = lower.rpartition(".")[2]
    parts = lower.replace("-", "_").split("_")
    if parts[0] in _FLAGS:
        return False
    whole = "".join(parts)
    if parts[-1] == "key" and len(parts) > 1 and name == name.upper():
        return parts[-2] not in _NOT_BEFORE_KEY  # a variable: `AZURE_STORAGE_KEY`
    if whole.endswith("token"):
        before = parts[-2] if parts[-1] == "token" and len(parts) > 1 else parts[-1][:-5]
        return before not in _NOT_BEFORE_TOKEN
    if whole in _WHOLE or whole.endswith(_ENDS) or (whole == "pwd" and name.startswith("-")):
        return True
    return parts[-1] in _SHORT_ENDS and len(parts) > 1 and parts[-2] not in _NOT_BEFORE_PASS


def _is_plain(name: str, value: str) -> bool:
    """Tell whether a value is none after all: `--use-auth-token true`, `--pass 2`."""
    if value == REDACTED:
        return True
    bare = value.strip("\"'").lower()
    if bare in _PLAIN:
        return True
    is_number = bare.lstrip("+-").replace(".", "", 1).isdecimal()
    return is_number and name.lower().endswith(("token", "pass", "auth"))


def _without_secrets(text: str) -> str:
    """Return a word, perhaps a whole script, without the secrets that it holds somewhere."""
    lower = text.lower()
    for hints, pattern, replacement in _SHAPES:
        if any(hint in lower for hint in hints):
            import re  # seldom needed, and each pattern takes a fraction of a millisecond

            text = re.sub(pattern, replacement, text)
    rest = text.replace("=", "", 1)  # the caller knows what `NAME=VALUE` is as a whole
    if any(hint in lower for hint in _HINTS) and any(sign in rest for sign in _SEPARATORS):
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
            and _names_a_secret(name)
            and not _is_plain(name, value)
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
