"""What the downloader has to work with, told by a child process that sees what a download's child sees."""

from datetime import date
from importlib.util import find_spec

from madvision_assets.domain.provenance import Value

# Modules that yt-dlp does without, each with the package that brings it, and what does not arrive then.
RUNTIME = "JavaScript runtime"
USES = {
    RUNTIME: ("deno", "YouTube"),
    "yt_dlp_ejs": ("yt-dlp-ejs", "YouTube"),
    "Cryptodome": ("pycryptodomex", "encrypted HLS at more than a crawl"),
    "curl_cffi": ("curl-cffi", "sites that take browsers only"),
    "brotli": ("brotli", "sites that answer in Brotli"),
}
DAYS_A_WEEK = 7


class Readiness(Value):
    """What the child found.

    Attributes:
        version: of yt-dlp.
        released: the day of that version.
        runtime: the JavaScript runtime with its version; empty where there is none.
        missing: keys of ``USES``.
    """

    version: str
    released: date
    runtime: str = ""
    missing: tuple[str, ...] = ()

    def told(self, today: date, max_age_weeks: int) -> tuple[bool, str]:
        """Whether it is ready, and a sentence on it that says what to do."""
        words = [f"yt-dlp {self.version}", self.runtime]
        words += [f"without {USES[each][0]}: no {USES[each][1]}" for each in self.missing]
        if self.missing:
            words.append("run: pip install -e . -c constraints.txt")
        weeks = (today - self.released).days // DAYS_A_WEEK
        if weeks > max_age_weeks:
            words.append(f"{weeks} weeks old, and sites change: put a newer one into MADVISION_YTDLP_FOLDER")
        return not self.missing and weeks <= max_age_weeks, "; ".join(filter(None, words))


def look() -> Readiness:
    """Looks at this very process's packages."""
    import yt_dlp

    runtime = javascript_runtime()
    return Readiness(
        version=yt_dlp.version.__version__,
        released=release_day(yt_dlp.version.__version__),
        runtime=runtime,
        missing=tuple(each for each in USES if not (runtime if each == RUNTIME else find_spec(each))),
    )


def javascript_runtime() -> str:
    """Name and version of the runtime that yt-dlp would use; empty where it finds none that it takes."""
    import yt_dlp

    with yt_dlp.YoutubeDL({"quiet": True, "cachedir": False}) as ydl:
        # yt-dlp has no public name for it.
        found = [each.info for each in ydl._js_runtimes.values() if each and each.info]  # noqa: SLF001
    return next((f"{each.name} {each.version}" for each in found if each.supported), "")


def release_day(version: str) -> date:
    """The day in a version of yt-dlp's (``2026.10.26``, or ``2026.10.26.123456`` of a nightly)."""
    year, month, day = (int(part) for part in version.split(".")[:3])
    return date(year, month, day)
