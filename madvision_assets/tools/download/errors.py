"""What went wrong in a download, read from the exception that yt-dlp raised.

The order of the rules matters: sites word a rate limit as "video unavailable", and an outage as "service unavailable",
so the recoverable reasons are looked for before the final ones. Within a rule, the exception's class and the HTTP
status count as much as words, and addresses are cut out of the words first: a title is no reason. Where the downloader
itself broke over what a site sent (a ``KeyError`` of an extractor), the words are its own and no reason either.

The words are the far side's, so they accuse the video or its host and nothing that others share: whether the disk is
full or ffmpeg missing, the parent finds out by itself (``downloader``).
"""

import re
import traceback
from dataclasses import dataclass

from madvision_assets.domain import egress
from madvision_assets.domain import failures as f
from madvision_assets.domain.retry_after import retry_after_s
from madvision_assets.tools.download.messages import ErrorReport

MAX_MESSAGE_CHARS = 2000
MAX_CHAIN = 10
SERVER_ERRORS = frozenset(range(500, 600))

_ADDRESSES = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
# yt-dlp's own advice at the end of a message ("use --cookies", "report this issue") says nothing of the reason.
_ADVICE = re.compile(r"(?i);? (?:please report this issue|use --[a-z]|see +for how to|you might want to use a vpn).*")
# Which of its parts said so, "[generic] "; what it calls the video stays, for it tells which address was meant.
_NOISE = re.compile(r"^(?:ERROR: )?(?:\[[\w:+-]+\] )?| \(caused by .*")


@dataclass(frozen=True)
class Rule:
    """One reason: any of its types, statuses or words is enough, or that it is a bug of the downloader."""

    leaf: type[f.Failure]
    words: str = ""
    types: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    bugs: bool = False

    def fits(self, report: ErrorReport, text: str) -> bool:
        """Whether the report gives this reason; ``text`` is its message without addresses."""
        return (
            (self.bugs and report.is_bug)
            or report.status in self.statuses
            or not self.types.isdisjoint(report.types)
            or bool(self.words and re.search(self.words, text, re.IGNORECASE))
        )


RULES = (
    # Ours: what the proxy answered.
    Rule(f.RefusedAddressError, re.escape(egress.REFUSED)),
    Rule(f.HostUnresolvedError, re.escape(egress.UNRESOLVED)),
    Rule(f.ConnectionLostError, f"{re.escape(egress.UNREACHABLE)}|{re.escape(egress.BROKEN_ANSWER)}"),
    # The child's own share of memory is used up, whatever it was doing then. By its class: a host that says "out of
    # memory" speaks of its own.
    Rule(f.TooCostlyError, types=frozenset({"MemoryError"})),
    # Before all words: "Unable to extract login form" or KeyError('premium') ask nobody to log in.
    Rule(f.ExtractionFailedError, types=frozenset({"RegexNotFoundError", "compat_HTMLParseError"}), bugs=True),
    # Says its reason by its class alone, and quotes nothing but the address.
    Rule(f.UnsupportedAddressError, types=frozenset({"UnsupportedError"})),
    Rule(
        f.SourceRateLimitedError,
        r"rate.?limit|too many requests|http error 429|try again later|temporarily (?:blocked|banned)"
        r"|requests? (?:has|have) been (?:limited|throttled)|below throttle limit",
        frozenset({"ThrottledDownload"}),
        frozenset({429}),
    ),
    Rule(
        f.BotCheckError,
        r"not a (?:ro)?bot|anti-?bot|captcha|cloudflare|unusual traffic|suspicious activity"
        r"|(?:verify|confirm) (?:that )?you(?: are|.re) (?:a )?human",
    ),
    Rule(
        f.SourceServerError,
        r"http error 5\d\d|service unavailable|bad gateway|internal server error|gateway time-?out"
        r"|temporarily unavailable|backend error|server is (?:overloaded|busy)|under maintenance",
        statuses=SERVER_ERRORS,
    ),
    Rule(
        f.HostUnresolvedError,
        r"name or service not known|name resolution|failed to resolve|getaddrinfo failed|nodename nor servname"
        r"|no address associated with",
        frozenset({"gaierror"}),
    ),
    Rule(
        f.GeoBlockedError,
        r"geo.?(?:graphic\w* )?(?:restrict|block)|(?:in|from) your (?:country|region|location|territory)"
        r"|only available (?:in|from|to) (?:the )?(?:country|region)"
        r"|outside (?:of )?(?:the |your )?(?:uk|us|usa|country|region)\b",
        frozenset({"GeoRestrictedError"}),
        frozenset({451}),
    ),
    Rule(f.DrmProtectedError, r"\bdrm\b|widevine|fairplay|playready|rights management"),
    Rule(
        f.LiveStreamError,
        r"premieres? (?:in|will|has not)|(?:live )?event will begin|is not currently live|is offline"
        r"|has(?:n.t| not)(?: yet)? (?:started|begun)|upcoming (?:live|stream|event)",
        frozenset({"UserNotLive"}),
    ),
    # Before the login: a private video's message asks those who were invited to sign in.
    Rule(
        f.PrivateVideoError,
        r"(?:video|content|post|media|account|this) is (?:set to )?private|private (?:video|post|account)"
        r"|marked private",
    ),
    Rule(
        f.LoginRequiredError,
        r"log.?in|sign.?in|logged.in|registered users|members?.only|members on|subscri(?:be|ption)|paid content"
        r"|payment|purchase|premium|confirm your age|age.?(?:restrict|verif|gate)|inappropriate for some"
        r"|authenticat|password|cookies",
        statuses=frozenset({402}),
    ),
    Rule(
        f.RemovedVideoError,
        r"(?:been |was |is |were )(?:removed|deleted|taken down|terminated|suspended|disabled)|has expired"
        r"|no longer (?:available|exists)|copyright (?:claim|infring|grounds|strike)"
        r"|closed (?:his|her|their) (?:youtube )?account",
    ),
    # A 403 or 404 in the middle means that the media's address expired: a fresh extraction gives another.
    Rule(f.IncompleteDownloadError, r"(?:unable to download video data|got error): http error 4(?:03|04|10|16)"),
    Rule(
        f.NotFoundError,
        r"http error 4(?:04|10)|does(?:n.t| not) exist|video unavailable"
        r"|(?:video|page|post|media|clip) (?:was |is |could )?not (?:be )?found"
        r"|(?:video|content) (?:is not |is un|isn.t )available",
        statuses=frozenset({404, 410}),
    ),
    Rule(f.AccessDeniedError, r"http error 40[13]|access (?:is )?denied|forbidden", statuses=frozenset({401, 403})),
    Rule(
        f.UnsupportedAddressError,
        r"unsupported url|no suitable extractor|no video formats? found|is not a valid url"
        r"|unsupported (?:url )?scheme|no video (?:could be found|found|in this)|there.s no video"
        r"|requested format is not available|unusual and will be skipped"
        # A redirect to ftp:, file: or itself; and what is named or typed as a playlist but is none.
        r"|no connection adapters were found|redirect loop detected|response data has no m3u header",
        frozenset({"UnsupportedRequest", "NoSupportingHandlers", "_UnsafeExtensionError"}),
    ),
    Rule(f.EmptyFileError, r"did not get any data blocks|downloaded file is empty"),
    Rule(
        f.IncompleteDownloadError,
        r"content too short|fragment \d+ not found|unable to continue without|fragments? (?:is|are) missing",
        frozenset({"ContentTooShortError"}),
    ),
    Rule(
        f.ConnectionLostError,
        r"connection (?:was |has been )?(?:reset|refused|aborted|closed|broken)|timed? ?out|remote end closed"
        r"|bytes read|network is unreachable|no route to host|certificate verify failed|giving up after"
        r"|unable to connect to proxy",
        statuses=frozenset({408}),
    ),
)

# For a report that no rule fits: the class decides. Every exception class of yt-dlp stands here or in a rule.
LEAF_OF_TYPE: dict[str, type[f.Failure]] = {
    "CertificateVerifyError": f.ConnectionLostError,
    "ConnectionError": f.ConnectionLostError,
    "IncompleteRead": f.ConnectionLostError,
    "ProxyError": f.ConnectionLostError,
    "SSLError": f.ConnectionLostError,
    "TimeoutError": f.ConnectionLostError,
    "TransportError": f.ConnectionLostError,
    "UnavailableVideoError": f.IncompleteDownloadError,  # raised where the file could not be written
    "PostProcessingError": f.MediaToolError,
    "EntryNotInPlaylist": f.ExtractionFailedError,
    "ExtractorError": f.ExtractionFailedError,
    "HTTPError": f.ExtractionFailedError,
    "ReExtractInfo": f.ExtractionFailedError,
    "RequestError": f.ExtractionFailedError,
    "_RequiredError": f.ExtractionFailedError,
    "DownloadError": f.ExtractionFailedError,
    "YoutubeDLError": f.ExtractionFailedError,
    # Only options that we never set raise these.
    "DownloadCancelled": f.UnexpectedError,
    "ExistingVideoReached": f.UnexpectedError,
    "LockingUnsupportedError": f.UnexpectedError,
    "MaxDownloadsReached": f.UnexpectedError,
    "RejectedVideoReached": f.UnexpectedError,
    "SameFileError": f.UnexpectedError,
    "UnsafeExecExpansionError": f.UnexpectedError,
    "XAttrMetadataError": f.UnexpectedError,
    "XAttrUnavailableError": f.UnexpectedError,
}


def classify(report: ErrorReport) -> f.Failure:
    """The failure that a report stands for; a leaf of the taxonomy, ``UnexpectedError`` where nothing fits."""
    details = _NOISE.sub("", _ADVICE.sub("", report.message))
    return _leaf(report)(details, retry_after_s=report.retry_after_s)


def describe(error: BaseException) -> ErrorReport:
    """The report of an exception: its own class and those of its causes, which yt-dlp keeps in several places."""
    chain = _causes(error)
    own = next((each for each in chain if isinstance(each, f.Failure)), None)
    text = own.details if own else _text(error)
    statuses = [status for each in chain if isinstance(status := getattr(each, "status", None), int)]
    return ErrorReport(
        types=tuple(base.__name__ for each in reversed(chain) for base in type(each).__mro__),
        message=" ".join(text.encode("utf-8", "replace").decode().split())[:MAX_MESSAGE_CHARS],
        is_bug=_is_bug(error, chain),
        status=statuses[-1] if statuses else None,
        retry_after_s=next((wait for each in chain if (wait := _retry_after_s(each)) is not None), None),
        code=own.code if own else None,
    )


def _leaf(report: ErrorReport) -> type[f.Failure]:
    if report.code is not None:
        leaf = f.leaf_of(report.code)
        # The child has read what strangers wrote, and is not believed against what is shared.
        return leaf if leaf.resource in {None, f.Resource.HOST} else f.UnexpectedError
    text = _ADVICE.sub("", _ADDRESSES.sub("", report.message))
    for rule in RULES:
        if rule.fits(report, text):
            return rule.leaf
    return next((LEAF_OF_TYPE[name] for name in report.types if name in LEAF_OF_TYPE), f.UnexpectedError)


def _causes(error: BaseException) -> list[BaseException]:
    """The exception and what caused it, outermost first."""
    chain: list[BaseException] = []
    upcoming: list[object] = [error]
    while upcoming and len(chain) < MAX_CHAIN:
        each = upcoming.pop()
        if isinstance(each, BaseException) and each not in chain:
            chain.append(each)
            original = getattr(each, "exc_info", None) or (None, None)
            upcoming += [each.__cause__, getattr(each, "cause", None), original[1]]
    return chain


def _text(error: BaseException) -> str:
    """What an exception says; Python's own say little without their class."""
    return str(error) if _is_of_yt_dlp(error) else f"{type(error).__name__}: {error}"


def _is_bug(error: BaseException, chain: list[BaseException]) -> bool:
    """Whether yt-dlp's own code broke, most of all an extractor over a page that it does not expect.

    The network's errors, the machine's (``OSError``) and what an extractor has worded for people are none, nor is what
    breaks in code of ours that yt-dlp calls.
    """
    # yt-dlp hands on the original in place of the extractor's error around it, which is then the context.
    worded = any(getattr(each, "expected", False) for each in (*chain, error.__context__))
    if worded or any(base.__name__ == "RequestError" for each in chain for base in type(each).__mro__):
        return False
    wrapped = any(map(_is_of_yt_dlp, chain))
    return any(
        not isinstance(each, OSError | MemoryError | f.Failure)
        and not _is_of_yt_dlp(each)
        and (wrapped if (place := _broken_in(each)) is None else place.startswith("yt_dlp"))
        for each in chain
    )


def _is_of_yt_dlp(error: BaseException) -> bool:
    return type(error).__module__.startswith("yt_dlp")


def _broken_in(error: BaseException) -> str | None:
    """The module of yt-dlp's, its plugins' or ours that an exception comes out of; None where there is none."""
    names = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((name for name in reversed(names) if name.startswith(("yt_dlp", "madvision_assets"))), None)


def _retry_after_s(error: BaseException) -> float | None:
    """Retry-After of the answer in an HTTPError."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return retry_after_s({name.lower(): value for name, value in headers.items()})
