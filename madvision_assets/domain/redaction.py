"""Text that leaves us without secrets, and without what a terminal would obey.

Secrets are known by where they stand (a query or form parameter, a header, an address's user) and by what they look
like (the shapes that vendors give theirs, and whatever is long and random), since no list of names is ever whole.
"""

import math
import re
from collections import Counter

from madvision_assets.domain.addresses import is_secret

# A parameter is a secret's where a part of its name is one of these: X-Amz-Signature, accessToken, sig.
SECRET_PARTS = frozenset(
    [
        "auth",
        "authorization",
        "apikey",
        "cookie",
        "credential",
        "credentials",
        "csrf",
        "expires",
        "hdnea",
        "hdnts",
        "hmac",
        "jwt",
        "key",
        "otp",
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "policy",
        "pwd",
        "resourcekey",
        "rlkey",
        "secret",
        "session",
        "sessionid",
        "sid",
        "sig",
        "sign",
        "signature",
        "ticket",
        "token",
    ]
)
MIN_RANDOM_CHARS = 24
MIN_ENTROPY_BITS = 3.7  # a character; words of a language have about 3
MIN_HEX_CHARS = 32
MIN_SIGNATURE_CHARS = 6  # h=1080 is a height

# A password may hold what ought to be escaped: up to the last @ where there was one before the first slash, or where
# no path can hold one.
_USER = re.compile(r"(?<=://)(?:[^/\s'\"]*@[^\s'\"]*@|[^/\s]*@)")
_DATABASE_USER = re.compile(r"(?i)\b((?:postgres(?:ql)?|mysql|mariadb|rediss?|amqps?|mongodb)(?:\+\w+)?://)[^\s'\"]*@")
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-(?:api-key|auth-token|amz-security-token|csrf-token)|api-key)"
    r"(['\"]?\s*[:=]\s*['\"]?|['\"]\s*,\s*b?['\"])(?:(?:bearer|basic|digest|token|apikey|negotiate)\s+)?[^\s'\",;]+(?:;\s*[^\s'\",;=]+=[^\s'\",;]+)*"
)
# What is a word ("a basic understanding") is none.
_SCHEME = re.compile(
    r"\b([Bb]earer|BEARER|[Bb]asic|BASIC)\s+(?![A-Za-z]?[a-z]{1,14}(?![\w~+/=-]))[A-Za-z0-9._~+/=-]{6,}"
)
_SIGNED_HEADER = re.compile(r"(?i)(\bauthorization\\?['\"]?\s*[:=]\s*\\?['\"]?)(?:digest|aws4-hmac-sha256)\b[^\n]*")
_COMMAND_LINE = re.compile(
    r"(?i)((?<!\S)--?[\w-]*(?:password|passwd|passphrase|secret|token|api-?key)(?:\s+|=)|(?<!\S)-u\s+(?=[^\s:]+:))"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+)"
)
_IN_PATH = re.compile(r"(?i)(/(?:l?sig|signature|hmac|hdnts|hdnea|token|access_token)/)[^/?\s'\"]{6,}")
_PARAMETER = re.compile(r"([A-Za-z][\w.-]{0,63})(=|%3D)([^&\s'\"<>;,]+)", re.IGNORECASE)
# No expression here looks far ahead from each of many places: hostile texts come here.
# In JSON and the like; without quotes too where the name leaves no doubt.
_FIELD = re.compile(r"(\\{0,3}['\"])([A-Za-z][\w.-]*)\1(\s*(?::|=>)\s*)(b?\\{0,3}['\"])((?:(?!\4)(?:\\.|[^'\"\\]))*)\4")
_PLAIN_FIELD = re.compile(
    r"(?i)(?<![a-z])((?:password|passwd|passphrase|secret|token"
    r"|(?:api|access|account|private|secret|shared|signing|subscription)[ _-]?key))"
    r"(:\s+|\s*=>?\s*)(?:'[^']{4,}'|\"[^\"]{4,}\"|[^\s'\",;]{6,})"
)
_SHAPES = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{2}|(?:AKIA|ASIA)|gh[oprsu]_|github_pat_|glpat-|xox[abeprs]-|AIza|hf_|ya29\.|npm_|pypi-"
    r"|[rs]k_(?:live|test)_|whsec_|dckr_pat_|hv[bs]\.|shp(?:at|ss|ca|pa)_|xapp-|AGE-SECRET-KEY-|dop_v1_|lin_api_)"
    r"[A-Za-z0-9_.*-]{6,}|(?<=hooks\.slack\.com/services/)[\w/]+"
)
# An AWS secret key has slashes, as a path has; these forty characters stand by themselves.
_FORTY = re.compile(r"(?<![A-Za-z0-9/+=._:-])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=._:-])")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)?")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|$)", re.DOTALL
)
_LONG = re.compile(rf"[A-Za-z0-9_~+-]{{{MIN_RANDOM_CHARS},}}={{0,2}}")
_PARTS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")

# C0 but for tab and newline, DEL, C1; what turns the direction of writing; what breaks a line unseen.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")


def visible(text: str) -> str:
    """The text with each character that a terminal obeys, or that is not seen, replaced by one that is seen."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


def without_secrets(text: str) -> str:
    """The text with whatever is, or looks like, a credential blanked."""
    text = _PRIVATE_KEY.sub("***", text)
    text = _DATABASE_USER.sub(r"\1***@", text)
    text = _USER.sub("***@", text)
    text = _SIGNED_HEADER.sub(r"\1***", text)
    text = _COMMAND_LINE.sub(r"\1***", text)
    text = _HEADER.sub(r"\1\2***", text)
    text = _SCHEME.sub(r"\1 ***", text)
    text = _PARAMETER.sub(_blanked_parameter, text)
    text = _FIELD.sub(_blanked_field, text)
    text = _PLAIN_FIELD.sub(r"\1\2***", text)
    text = _IN_PATH.sub(r"\1***", text)
    text = _JWT.sub("***", text)
    text = _SHAPES.sub("***", text)
    text = _FORTY.sub(_blanked_if_random, text)
    return _LONG.sub(_blanked_if_random, text)


def _blanked_if_random(found: re.Match[str]) -> str:
    return "***" if _is_random(found[0]) else found[0]


def _blanked_parameter(found: re.Match[str]) -> str:
    name, sign, value = found.groups()
    in_query = found.string[found.start() - 1 : found.start()] in {"?", "&"}
    of_an_address = in_query and len(value) >= MIN_SIGNATURE_CHARS and is_secret(name, value)
    secret = _is_secret_name(name) or of_an_address or _is_random(value) or _is_long_hex(value)
    return f"{name}{sign}***" if secret else found[0]


def _blanked_field(found: re.Match[str]) -> str:
    quote, name, colon, opening, value = found.groups()
    a_sentence = " " in value  # what is random in it is found by itself
    secret = value and (_is_secret_name(name) or (not a_sentence and _is_random(value)))
    return f"{quote}{name}{quote}{colon}{opening}***{opening}" if secret else found[0]


def _is_secret_name(name: str) -> bool:
    whole, parts = name.lower(), {part.lower() for part in _PARTS.findall(name)}
    return not SECRET_PARTS.isdisjoint({whole, *parts}) or whole.endswith(
        ("token", "secret", "password", "sessionid", "sessid")
    )


def _is_long_hex(value: str) -> bool:
    return re.fullmatch(rf"(?i)[0-9a-f]{{{MIN_HEX_CHARS},}}", value) is not None


def _is_random(value: str) -> bool:
    """Long, of all kinds of characters, and as uneven as only chance is; hashes in hex are names of ours, and stay."""
    if len(value) < MIN_RANDOM_CHARS:
        return False
    kinds = (str.isdigit, str.islower, str.isupper)
    if not all(any(map(kind, value)) for kind in kinds):
        return False
    counts = Counter(value)
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return entropy >= MIN_ENTROPY_BITS
