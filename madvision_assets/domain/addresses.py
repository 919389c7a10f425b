"""Addresses: what of one names the video, what only tells who shared it, and what is a secret.

What is spelled in many ways by one site is brought to one spelling here, without the network.
"""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from madvision_assets.domain.site_addresses import spelled_by_site

MAX_ADDRESS_CHARS = 4096
DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
BLANK = "***"

# Parameters that name a campaign or a click, on whatever site.
TRACKING = re.compile(
    r"(?is)utm_.+|fbclid|gclid|gclsrc|gbraid|wbraid|dclid|msclkid|yclid|twclid|ttclid|li_fat_id|igshid|igsh|mc_[ce]id|_ga|_gl|mkt_tok|at_medium|at_campaign(?:_type)?"
)
# By site (and the hosts below it): parameters that tell who shared a video, or from where on to play it.
SHARING: Mapping[str, re.Pattern[str]] = {
    site: re.compile(names)
    for site, names in {
        "bbc.co.uk": r"at_.+",
        "bbc.com": r"at_.+",
        "bilibili.com": (
            r"spm_id_from|vd_source|share_.+|from|from_.+|seid|t|ts|unique_k|bbid|buvid|mid|plat_id|timestamp|up_id"
        ),
        "dailymotion.com": r"start|autoplay|mute|playlist",
        "docs.google.com": r"usp|pli|authuser|ts",
        "drive.google.com": r"usp|pli|authuser|ts",
        "dropbox.com": r"dl|e|st",
        "facebook.com": (
            r"mibextid|rdid|share_url|ref|sfnsn|extid|__.+|_rd.|locale|paipv|eav|fs|s|d|t|wtsid|notif_.+|idorvanity"
        ),
        "fb.watch": r"mibextid|fs|s|ref",
        "instagram.com": r"igsh.*|ig_(?:mid|rid|cache_key)|hl|img_index|taken-(?:at|by)|ref|__a|__d",
        "linkedin.com": r"trk|trackingId|lipi|rcm|refId|original_referer|updateEntityUrn",
        "loom.com": r"sid|t|muted|autoplay",
        "reddit.com": r"share_id|rdt|ref|ref_source|context",
        "rumble.com": r"e9s|mref|mrefc|pub|start",
        "soundcloud.com": r"si|in|ref|p|c",
        "spotify.com": r"si|nd|pi|context|dl_branch",
        "streamable.com": r"t|src|src_player_page_info",
        "tiktok.com": (
            r"_.+|is_.+|sender_.+|share_.+|social_.+|enter_.+|referer_.+|refer|web_id|source|u_code|ugbiz_name|lang.*|tt_from"
            r"|sec_user_id|checksum|timestamp|user_id|preview_pb|q|t|embed_source"
        ),
        "twitch.tv": r"t|time|tt_.+|sr|filter|sort|range|referrer|featured",
        "twitter.com": r"s|t|ref_src|ref_url|cxt|src|lang",
        "vimeo.com": r"share|fl|fe|ts|pgroup|_.+",
        "x.com": r"s|t|ref_src|ref_url|cxt|src|lang",
        "youtu.be": r"si|t|start|feature|pp",
        "youtube.com": r"si|t|start|time_continue|feature|pp|ab_channel|app|embeds_.+|source_ve_path",
    }.items()
}
# Parameters that tell a player or a page how to show what the rest of the address names; its language is another video.
SHOWING = re.compile(
    r"(?i)(auto_?(play|start)|mute|muted|loop|controls|theme|color|badge|byline|portrait|title|t"
    r"|time|start|start_?time|end|feature|ref|referr?er|src|source|from|via|share|usp|app|playlist|list|index|dl|raw|embed|width|height)"
)
# Names of parameters whose value lets somebody in.
_SECRET_NAME = re.compile(
    r"(?is)(.*[_.-])?(access|[a-z]*token|[a-z]*key|[a-z]*signature|sig|sign|[a-z]*secret|passw[a-z]*|passcode|pwd?|pass|auth[a-z]*"
    r"|credentials?|policy|jwt|[a-z]*session(id)?|sid|hash|h|hmac|ticket|hdn[a-z]+|st|code|expires?|exp|invite|nonce|x-amz-.+|x-goog-.+)"
)
# Those that commonly name a video: what they hold looks as random as a secret.
_NAMING = re.compile(r"(?i)(v|vid|.*id|etag|video|clip|media|file|p|article|episode)")
_HOST_LABELS = re.compile(r"^(?:www|m|mobile|player|embed|geo)\.")
_SECRET_PATHS: Mapping[str, re.Pattern[str]] = {
    "vimeo.com": re.compile(r"(?<=\d/)[0-9a-f]{6,}(?=/|$)"),
    "soundcloud.com": re.compile(r"(?<=/)s-[\w-]+"),
}
MOST_LABELS = 3  # of a site in these tables
# By site: parameters without which the address of a shared file leads to a sign-in.
_SECRET_PARAMETERS: Mapping[str, re.Pattern[str]] = {
    site: re.compile(r"e|cid") for site in ("1drv.ms", "onedrive.live.com", "sharepoint.com")
}
_PARAMETERS = re.compile(r"\?[^#]*")
MAX_NESTED = 3  # addresses within each other are looked through
_SECRET_CHARS = 4  # of a path; what is shorter stands elsewhere in it as well
_RANDOM_CHARS = 8
_RANDOM_TURNS = 2  # between letters and digits; "season12" has one


def site_of(netloc: str) -> str:
    """A host without what only says for which screen it answers."""
    return _HOST_LABELS.sub("", netloc.lower())


def looks_random(text: str) -> bool:
    """Whether part of a text was drawn by lot rather than written: letters and digits that take turns."""
    return any(
        len(piece) >= _RANDOM_CHARS and len(re.findall(r"(?i)[a-z]+|[0-9]+", piece)) > _RANDOM_TURNS
        for piece in re.split(r"[^A-Za-z0-9]+", text)
    )


def is_secret(name: str, value: str) -> bool:
    """Whether a parameter lets somebody in, by its name or by the look of its value."""
    return bool(value) and (_SECRET_NAME.fullmatch(name) is not None or _looks_secret(name, value))


def _looks_secret(name: str, value: str) -> bool:
    return _NAMING.fullmatch(name) is None and looks_random(value)


def parameters(query: str) -> list[tuple[str, str, str]]:
    """Name, value, and how they are spelled, of each parameter; an empty one is passed over."""
    found = ((each.partition("="), each) for each in query.split("&") if each)
    return [(unquote(name), unquote(value), spelled) for (name, _, value), spelled in found]


def public_address(address: str) -> str:
    """The address as it may be shown to others: user, password and fragment left out, secrets blanked."""
    return _public(address, 0)


def _public(address: str, depth: int) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    netloc = parts.netloc.rpartition("@")[2]
    of_site = _by_site(netloc.lower(), _SECRET_PARAMETERS)
    query = "&".join(_shown(of_site, *each, depth) for each in parameters(parts.query))
    path = parts.path
    for secret in sorted(secrets_in_path(netloc, path), key=len, reverse=True):
        path = path.replace(secret, BLANK)
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def _shown(of_site: re.Pattern[str] | None, name: str, value: str, spelled: str, depth: int) -> str:
    """A parameter as it may be shown; one that holds an address, with that as it may be."""
    before, equals, _ = spelled.partition("=")
    if not equals:
        return BLANK if looks_random(name) else spelled
    if _lets_in(of_site, name, value) or (_is_address(value) and depth >= MAX_NESTED):
        return f"{before}={BLANK}"
    inner = _public(value, depth + 1) if _is_address(value) else value
    return spelled if inner == value else f"{before}={quote(inner, safe='*')}"


def _lets_in(of_site: re.Pattern[str] | None, name: str, value: str) -> bool:
    """Whether a parameter lets somebody in; of an address that it holds the parameters are judged by themselves."""
    by_name = _SECRET_NAME.fullmatch(name) or (of_site and of_site.fullmatch(name))
    unnamed = _PARAMETERS.sub("", value) if _is_address(value) else value
    return bool(value) and bool(by_name or _looks_secret(name, unnamed))


def _is_address(value: str) -> bool:
    return value[:8].lower().startswith(("http://", "https://"))


def secrets_in(address: str) -> frozenset[str]:
    """What ``public_address`` blanks, as it is spelled and as it is meant."""
    return frozenset(_secrets(address, 0))


def _secrets(address: str, depth: int) -> set[str]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return set()
    netloc = parts.netloc.rpartition("@")[2]
    of_site = _by_site(netloc.lower(), _SECRET_PARAMETERS)
    found = set(secrets_in_path(netloc, parts.path))
    for name, value, spelled in [*parameters(parts.query), *parameters(parts.fragment.partition("?")[2])]:
        after = spelled.partition("=")[2]
        if "=" not in spelled:
            found |= {name, spelled} if looks_random(name) else set()
        elif _lets_in(of_site, name, value) or (_is_address(value) and depth >= MAX_NESTED):
            found |= {value, after}
        elif _is_address(value):
            inner = _secrets(value, depth + 1)
            found |= inner | {quote(secret, safe="") for secret in inner}
    return found


def secrets_in_path(netloc: str, path: str) -> list[str]:
    """What lets somebody in by a path: where a site is known for it, or where it has a name (``token=…``)."""
    hidden = _by_site(netloc, _SECRET_PATHS)
    named = (piece.partition("=") for piece in re.split(r"[/;~]", path))
    return [
        *(hidden.findall(path) if hidden else []),
        *(
            value
            for name, _, value in named
            if len(value) >= _SECRET_CHARS and is_secret(unquote(name), unquote(value))
        ),
    ]


def one_spelling(parts: SplitResult) -> SplitResult:
    """Without tracking and sharing, and as its site spells the video itself where it has several ways to.

    Args:
        parts: with scheme and host in small letters.
    """
    if by_site := spelled_by_site(parts):
        return urlsplit(by_site)
    sharing = _by_site(parts.netloc, SHARING)
    given = parameters(parts.query)
    kept = [
        spelled
        for name, _, spelled in given
        if not TRACKING.fullmatch(name) and not (sharing and sharing.fullmatch(name))
    ]
    dropped = len(kept) < len(given)
    # Signatures may depend on the exact spelling of what is kept.
    return parts._replace(query="&".join(kept)) if dropped else parts


def _by_site(netloc: str, table: Mapping[str, re.Pattern[str]]) -> re.Pattern[str] | None:
    """What a table has for a host, or for the site above it."""
    labels = netloc.rsplit(".", MOST_LABELS)[-MOST_LABELS:]
    return next((found for n in range(len(labels)) if (found := table.get(".".join(labels[n:])))), None)
