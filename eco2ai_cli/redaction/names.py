"""Tell by its name whether an option, a variable or a key holds a secret, and by a value if not.

Machine learning has tokens and keys of its own: `--pad-token "[PAD]"`, `TEXT_KEY=caption`.
"""

from __future__ import annotations

REDACTED = "REDACTED"
"""A word that no shell has to quote."""

HINTS = ("pass", "pwd", "secret", "cred", "token", "key", "auth", "webhook", "pw", "jwt", "pat")
"""A name without any of these holds no secret."""

_ENDS = (
    "password", "passwd", "passphrase", "passcode", "passkey", "secret", "secretkeybase",
    "credential", "credentials", "token", "apikey", "accesskey", "accesskeyid", "secretkey",
    "privatekey", "accountkey", "authkey", "encryptionkey", "signingkey", "licensekey",
    "subscriptionkey", "masterkey", "sharedkey", "webhookurl", "webhook", "creds", "passwords",
    "secrets", "apikeys", "storepass", "keypass", "passin", "passout", "accesstokens", "apitokens",
    "authtokens",
)  # fmt: skip
"""How the names of secrets end, without case and what parts their words."""
_WHOLE = frozenset(
    {"auth", "basicauth", "httpauth", "pass", "pw", "pwd", "authorization", "cookie"}
)
_SHORT_ENDS = ("pass", "pwd", "pw", "jwt", "pat")
"""Words that make a name one of a secret: the last of several, or by themselves in an option."""
_NOT_BEFORE_PASS = frozenset(
    {"by", "one", "two", "multi", "single", "first", "second", "n", "num", "low", "high", "band"}
)
_NOT_BEFORE_KEY = frozenset(
    {
        "action", "answer", "audio", "batch", "cache", "caption", "column", "config", "context",
        "data", "dataset", "doc", "feature", "features", "foreign", "group", "hash", "hot", "id",
        "image", "images", "img", "index", "input", "inputs", "item", "join", "json", "label",
        "labels", "lookup", "loss", "map", "mask", "metric", "monitor", "obs", "observation",
        "output", "outputs", "partition", "primary", "prng", "prompt", "public", "query",
        "question", "random", "record", "response", "reward", "rng", "routing", "row", "sample",
        "score", "seed", "shard", "sharding", "sort", "source", "split", "state", "step", "table",
        "target", "text", "video",
    }
)  # fmt: skip
"""What makes a key the name of a column, of a part of a data set or of a random stream."""
_MAKERS = frozenset(
    {
        "ai21", "alchemy", "anthropic", "aws", "azure", "bing", "claude", "cohere", "comet",
        "datadog", "dd", "deepgram", "deepl", "deepseek", "elevenlabs", "exa", "fal", "fireworks",
        "gcp", "gemini", "github", "gitlab", "google", "gpt", "groq", "hf", "huggingface", "infura",
        "jina", "kaggle", "langchain", "langfuse", "langsmith", "mailgun", "mapbox", "mistral",
        "neptune", "newrelic", "ngc", "nvidia", "nvapi", "openai", "openrouter", "perplexity",
        "pinecone", "qdrant", "replicate", "roboflow", "rollbar", "runpod", "sendgrid", "sentry",
        "serp", "serpapi", "serper", "slack", "stability", "storage", "stripe", "tavily",
        "together", "twilio", "vast", "voyage", "wandb", "weaviate", "weather", "xai", "zenodo",
        "admin", "aes", "app", "bot", "client", "consumer", "crypto", "decryption", "deploy",
        "encrypt", "hmac", "ingest", "jwt", "server", "service", "session", "user", "write",
    }
)  # fmt: skip
"""Before `key` in lower case: who hands such keys out, and what they open."""
_NOT_BEFORE_TOKEN = frozenset(
    {
        "action", "anchor", "answer", "assistant", "audio", "begin", "blank", "bos", "chat",
        "class", "cls", "concept", "cond", "context", "ctc", "decoder", "delimiter", "document",
        "dummy", "empty", "end", "eod", "eom", "eos", "eot", "extra", "fim", "first", "frame",
        "image", "img", "infill", "initializer", "instance", "instruction", "lang", "language",
        "last", "latent", "mask", "max", "memory", "middle", "min", "modifier", "motion", "new",
        "newline", "next", "noise", "null", "num", "pad", "padding", "patch", "per", "placeholder",
        "point", "prefix", "prompt", "question", "reasoning", "region", "register", "response",
        "role", "rare", "sep", "separator", "soft", "sop", "sot", "source", "space", "speaker",
        "special", "speech", "src", "start", "state", "stop", "style", "subject", "suffix",
        "system", "target", "text", "tgt", "think", "thinking", "time", "timestamp", "tool",
        "trigger", "unk", "unknown", "validation", "video", "virtual", "vision", "visual", "voice",
        "word",
    }
)  # fmt: skip
"""What makes a token one of a language model's."""
_FLAGS = ("no", "ask", "prompt", "require", "skip", "show", "hide", "reset", "forget")
"""First words of options that take no secret: `--no-password`."""
_PLAIN = frozenset({"", "true", "false", "none", "null", "yes", "no", "auto"})
_BRACKETS = (("<", ">"), ("[", "]"), ("{", "}"), ("(", ")"), ("|", "|"), ("\u2581", ""))
"""Around the tokens of a language model, which no secret is written in."""
_RANDOM_LENGTH = 20


def names_a_secret(name: str) -> bool:
    """Tell whether an option, a variable or a key of this name may hold a secret."""
    bare = name.strip("-\"'").rstrip("0123456789")
    lower = bare.lower()
    if not any(hint in lower for hint in HINTS) or not lower.replace("-", "").isidentifier():
        if "." not in lower:
            return False
        bare = bare.rpartition(".")[2]
        lower = bare.lower()
    parts = lower.replace("-", "_").split("_")
    if parts[0] in _FLAGS:
        return False
    whole = "".join(parts)
    last, before = parts[-1], parts[-2] if len(parts) > 1 else ""
    if whole.endswith("token"):
        return (before if last == "token" else last[:-5]) not in _NOT_BEFORE_TOKEN
    if whole in _WHOLE or whole.endswith(_ENDS):
        return True
    if last == "key" and before:
        return before not in _NOT_BEFORE_KEY
    if last in _SHORT_ENDS:
        return before not in _NOT_BEFORE_PASS if before else name.startswith("-")
    return _camel_key(bare)


def is_plain(name: str, value: str) -> bool:
    """Tell whether a value is none after all: `--use-auth-token true`, `--pass 2`."""
    if value == REDACTED:
        return True
    bare = value.strip("\"'")
    if bare.lower() in _PLAIN:
        return True
    lower = name.lower().strip("-\"'")
    is_number = bare.lstrip("+-").replace(".", "", 1).isdecimal()
    if lower.endswith("token"):
        return is_number or any(
            len(bare) > 1 and bare.startswith(left) and bare.endswith(right)
            for left, right in _BRACKETS
        )
    if lower.endswith("pwd"):
        return bare.startswith(("/", "~", ".", "$"))  # the current folder
    if lower.endswith("pat"):
        return is_number or any(c in bare for c in "*?[]^\\/")  # a pattern
    if lower.endswith(("_key", "-key")) and not lower.replace("-", "").replace("_", "").endswith(
        _ENDS
    ):
        return _is_plain_key(name, bare)
    return is_number and lower.endswith(("pass", "auth"))


def _is_plain_key(name: str, value: str) -> bool:
    """Tell whether the value of a key that may be one of anything is no secret."""
    before = name.lower().strip("-\"'").replace("-", "_").split("_")[-2]
    if value.startswith(("/", "./", "../", "~", "$")):
        return True
    letters = value.replace("_", "").replace("-", "").replace(".", "").replace("/", "")
    if letters.isdecimal() or (letters.isalpha() and letters.islower()):
        return True
    if before in _MAKERS or name.upper() == name:
        return False
    return not _looks_random(value)


def _looks_random(value: str) -> bool:
    """Tell whether a word is as long as a key, of letters and digits, and no path."""
    letters = value.replace("-", "").replace("_", "")
    return (
        len(letters) >= _RANDOM_LENGTH
        and letters.isascii()
        and letters.isalnum()
        and any(c.isdigit() for c in letters)
        and any(c.isalpha() for c in letters)
    )


def _camel_key(bare: str) -> bool:
    """Tell whether a name is like `openaiKey`."""
    return bare.endswith("Key") and bare[:-3].lower() in _MAKERS
