"""Take out what shows by its shape, or its place in a URL or a header, that it is a secret."""

from __future__ import annotations

from eco2ai_cli.redaction.names import REDACTED

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
    (("hf_", "ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "npm_", "r8_", "dapi", "gsk_"),
     r"\b(?:(?:hf_|gh[opsur]_|npm_|r8_|dapi|gsk_)[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
     REDACTED),
    (("pcsk_", "lsv2_", "dckr_", "dop_v1_", "shpat_", "glc_"),
     r"\b(?:pcsk_|lsv2_[ps][tk]_|dckr_[a-z]{3}_|dop_v1_|shpat_|glc_)[\w-]{20,}", REDACTED),
    (("xai-", "pplx-", "tvly-", "tskey-"),
     r"\b(?:xai|pplx|tvly|tskey)-(?=[\w-]{0,80}?\d)[\w-]{20,}", REDACTED),
    (("hvs.", "sg.", "ya29."),
     r"\b(?:hvs\.[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|ya29\.[\w-]{20,})", REDACTED),
    (("age-secret-key-",), r"\bAGE-SECRET-KEY-1[0-9A-Z]{20,}", REDACTED),
    (("hooks.slack.com/",),
     r"(\bhooks\.slack\.com/(?:services|workflows|triggers)/)[\w/-]+", rf"\1{REDACTED}"),
    (("api.telegram.org/bot",), r"(\bapi\.telegram\.org/bot)[\w:-]+", rf"\1{REDACTED}"),
    (("discord",), r"(\bdiscord(?:app)?\.com/api/webhooks/)[\w/-]+", rf"\1{REDACTED}"),
    (("glpat-", "xox", "aiza", "pypi-", "nvapi-"),
     r"\b(?:glpat-|xox[abeprs]-|AIza|pypi-A|nvapi-)[\w-]{10,}", REDACTED),
    (("sk-", "sk_live", "rk_live", "sk_test", "whsec_"),
     r"\bsk-(?=[\w-]{0,80}?[A-Z])(?=[\w-]{0,80}?\d)[\w-]{20,}|\b[rs]k_(?:live|test)_\w{16,}"
     r"|\bsk-[0-9a-f]{32,}\b|\bsk-or-v1-[0-9a-f]{20,}|\bwhsec_\w{16,}",
     REDACTED),
    (("eyj",), r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*", REDACTED),
    (("private key",),
     r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)[^-]*(?:-----END [A-Z ]{0,30}-----)?",
     rf"\1{REDACTED}"),
)  # fmt: skip
"""Secrets that show themselves: without these words (in lower case) a text holds none; the
pattern; what takes its place. Shapes of keys as AWS, Databricks, DeepSeek, DigitalOcean, Discord,
Docker, GitHub, GitLab, Google, Grafana, Groq, HashiCorp, Hugging Face, LangSmith, npm, NVIDIA,
OpenAI, OpenRouter, Perplexity, Pinecone, PyPI, Replicate, SendGrid, Shopify, Slack, Stripe,
Tailscale, Tavily, Telegram, xAI and age show them (2024); the JWT of RFC 7519 (2015)."""


def without_shapes(text: str) -> str:
    """Return a text with `REDACTED` in the place of what has the shape of a secret."""
    lower = text.lower()
    for hints, pattern, replacement in _SHAPES:
        if any(hint in lower for hint in hints):
            import re  # seldom needed, and each pattern takes a fraction of a millisecond

            text = re.sub(pattern, replacement, text)
    return text
