"""What is read from addresses, from yt-dlp's exceptions and from its info dictionaries: no network, no process."""

import inspect
from email.message import Message
from typing import Any

import pytest
import yt_dlp.networking.exceptions
import yt_dlp.utils
import yt_dlp.utils._utils
import yt_dlp.utils.traversal

from madvision_assets.domain import failures as f
from madvision_assets.domain.video import HeatPoint
from madvision_assets.tools.download import identify
from madvision_assets.tools.download.errors import LEAF_OF_TYPE, RULES, classify, describe
from madvision_assets.tools.download.messages import ErrorReport, Job, Progress, Success
from madvision_assets.tools.download.metadata import kept, source_metadata
from madvision_assets.tools.download.meter import Meter
from madvision_assets.tools.download.options import format_selection, usable_formats, ydl_options

MODULES = (
    yt_dlp.utils,
    yt_dlp.utils._utils,
    yt_dlp.utils.traversal,
    yt_dlp.networking.exceptions,
)


def exception_classes() -> list[type[BaseException]]:
    seen = {
        value
        for module in MODULES
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__.startswith("yt_dlp")
    }
    return sorted(seen, key=lambda each: each.__name__)


@pytest.mark.parametrize("kind", exception_classes(), ids=lambda kind: kind.__name__)
def test_every_exception_class_of_yt_dlp_has_a_leaf_of_its_own(kind: type[BaseException]) -> None:
    named = set(LEAF_OF_TYPE).union(*(rule.types for rule in RULES))
    assert kind.__name__ in named
    failure = classify(ErrorReport(types=tuple(base.__name__ for base in kind.__mro__)))
    assert type(failure) in f.leaves()


def test_every_type_that_is_named_exists() -> None:
    builtin = {"ConnectionError", "TimeoutError", "MemoryError", "gaierror"}
    known = {each.__name__ for each in exception_classes()} | builtin
    assert set(LEAF_OF_TYPE).union(*(rule.types for rule in RULES)) <= known


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("[youtube] x: Video unavailable. This content isn't available, try again later.", "source_rate_limited"),
        ("[youtube] x: The current session has been rate-limited by YouTube for up to an hour", "source_rate_limited"),
        ("Unable to download API page: HTTP Error 429: Too Many Requests", "source_rate_limited"),
        ("[Instagram] Requested content is not available, rate-limit reached or login required", "source_rate_limited"),
        ("[youtube] x: Sign in to confirm you're not a bot. Use --cookies for the authentication", "source_bot_check"),
        ("[youtube] x: Sign in to confirm you\u2019re not a bot. Use --cookies-from-browser", "source_bot_check"),
        ("Got HTTP Error 403 caused by Cloudflare anti-bot challenge; try again with ...", "source_bot_check"),
        ("Please solve the captcha at the site", "source_bot_check"),
        ("Unable to download webpage: HTTP Error 503: Service Unavailable", "source_server_error"),
        ("Unable to download webpage: HTTP Error 502: Bad Gateway", "source_server_error"),
        ("Unable to download webpage: HTTP Error 503: Out of memory", "source_server_error"),
        ("unable to download video data: HTTP Error 500: Internal Server Error", "source_server_error"),
        ("Failed to resolve 'x.example' ([Errno -2] Name or service not known)", "host_unresolved"),
        ("<urlopen error [Errno -3] Temporary failure in name resolution>", "host_unresolved"),
        ("[youtube] x: The uploader has not made this video available in your country", "geo_blocked"),
        ("This video is not available from your location due to geo restriction", "geo_blocked"),
        ("[BBC] x: BBC iPlayer is only available outside the UK", "geo_blocked"),
        ("[youtube] x: Private video. Sign in if you've been granted access to this video", "private_video"),
        ("[vimeo] x: This video is private", "private_video"),
        ("[youtube] x: Sign in to confirm your age. This video may be inappropriate for some users", "login_required"),
        ("[youtube] x: Join this channel to get access to members-only content", "login_required"),
        ("This video is only available for registered users. Use --cookies", "login_required"),
        ("[vimeo] x: This video is protected by a password, use the --video-password option", "login_required"),
        ("[youtube] x: This video is only available to Music Premium members", "login_required"),
        ("[youtube] x: Video unavailable. This video has been removed by the uploader", "removed_video"),
        ("[youtube] x: This video has been removed for violating YouTube's Terms of Service", "removed_video"),
        ("This video is no longer available because the YouTube account has been terminated", "removed_video"),
        ("Video unavailable. It contains content from SME, who has blocked it on copyright grounds", "removed_video"),
        ("It contains content from SME, who has blocked it in your country on copyright grounds", "geo_blocked"),
        ("[youtube] x: Video unavailable", "not_found"),
        ("[dailymotion] x: Dailymotion said: Video does not exist", "not_found"),
        ("Unable to download webpage: HTTP Error 404: Not Found", "not_found"),
        ("Unable to download webpage: HTTP Error 410: Gone", "not_found"),
        ("Unable to download webpage: HTTP Error 403: Forbidden", "access_denied"),
        ("unable to download video data: HTTP Error 403: Forbidden", "incomplete_download"),
        ("[download] Got error: HTTP Error 404: Not Found. Giving up after 5 retries", "incomplete_download"),
        ("[netflix] x: This video is DRM protected", "drm_protected"),
        ("[youtube] x: Premieres in 3 hours", "live_stream"),
        ("[youtube] x: This live event will begin in 20 minutes.", "live_stream"),
        ("[twitch:stream] x: The channel is not currently live", "live_stream"),
        ("[youtube] x: Requested format is not available. Use --list-formats", "unsupported_address"),
        ("No connection adapters were found for 'ftp://h.example/a.mp4'", "unsupported_address"),
        ("[generic] index: Response data has no m3u header", "unsupported_address"),
        ("Unable to download webpage: HTTP Error 302: Found (redirect loop detected)", "unsupported_address"),
        ("Unsupported URL: https://site.example/http-error-503-service-unavailable", "unsupported_address"),
        ("[generic] x: No video formats found!", "unsupported_address"),
        ("Did not get any data blocks", "empty_file"),
        ("content too short (expected 100 bytes and served 50)", "incomplete_download"),
        ("[download] Got error: 9000 bytes read, 24835 more expected. Giving up after 3 retries", "connection_lost"),
        ("Unable to download webpage: The read operation timed out", "connection_lost"),
        ("[Errno 104] Connection reset by peer", "connection_lost"),
        ("Unable to download webpage: HTTP Error 418: No space left on device", "extraction_failed"),
        ("Unable to download webpage: HTTP Error 418: ffmpeg not found", "extraction_failed"),
        ("Unable to download webpage: HTTP Error 403: MadVision refused a non-public address", "refused_address"),
        ("Tunnel connection failed: 502 MadVision could not resolve the host", "host_unresolved"),
        ("HTTP Error 502: MadVision could not connect to the host", "connection_lost"),
        ("[youtube] x: Unable to extract initial player response", "extraction_failed"),
    ],
)  # fmt: skip
def test_a_real_message_is_read_as_its_reason(message: str, code: str) -> None:
    error = yt_dlp.utils.DownloadError(f"ERROR: {message}")
    assert classify(describe(error)).code == code


def test_the_words_of_an_address_are_no_reason() -> None:
    error = yt_dlp.utils.ExtractorError(
        "Unable to extract data from https://x.example/private-video-rate-limit-captcha"
    )
    assert isinstance(classify(describe(error)), f.ExtractionFailedError)


def test_an_unsupported_page_is_unsupported_whatever_its_address_says() -> None:
    error = yt_dlp.utils.UnsupportedError("https://x.example/ too many requests")
    assert isinstance(classify(describe(error)), f.UnsupportedAddressError)


def http_error(status: int, reason: str = "", **headers: str) -> yt_dlp.networking.exceptions.HTTPError:
    message = Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    response = yt_dlp.networking.Response(open("/dev/null", "rb"), "http://x.example", message, status, reason)  # noqa: PTH123, SIM115 - closed below
    response.close()
    return yt_dlp.networking.exceptions.HTTPError(response)


def wrapped(original: Exception) -> yt_dlp.utils.DownloadError:
    """As yt-dlp wraps them: an extractor's error around the original, and a download's error around that."""
    extraction = yt_dlp.utils.ExtractorError("Unable to download webpage", cause=original)
    return yt_dlp.utils.DownloadError("ERROR: something", (type(extraction), extraction, None))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "access_denied"),
        (402, "login_required"),
        (403, "access_denied"),
        (404, "not_found"),
        (408, "connection_lost"),
        (410, "not_found"),
        (418, "extraction_failed"),
        (429, "source_rate_limited"),
        (451, "geo_blocked"),
        (500, "source_server_error"),
        (599, "source_server_error"),
    ],
)
def test_the_status_is_found_however_deep_it_is_wrapped(status: int, code: str) -> None:
    assert classify(describe(wrapped(http_error(status)))).code == code


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        *(("120", 120.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None), ("\u00b2", None), ("9" * 400, None)),
        *(("inf", None), ("Fri, 31 Dec 99999 23:59:59 GMT", None), ("-5", 0.0)),
    ],
)
def test_retry_after_is_read_in_seconds(value: str, wait_s: float | None) -> None:
    assert classify(describe(wrapped(http_error(429, Retry_After=value)))).retry_after_s == wait_s


def test_a_cause_decides_where_the_words_say_nothing() -> None:
    assert isinstance(classify(describe(wrapped(ConnectionResetError("gone")))), f.ConnectionLostError)
    assert isinstance(classify(describe(wrapped(KeyError("player")))), f.ExtractionFailedError)
    assert isinstance(classify(describe(ZeroDivisionError("ours"))), f.UnexpectedError)


@pytest.mark.parametrize(
    "bug",
    [KeyError("premium"), TypeError("'login' is None"), AttributeError("no 'captcha'"), ValueError("copyright claim")],
    ids=repr,
)
def test_a_bug_of_an_extractor_is_its_own_whatever_stands_in_it(bug: Exception) -> None:
    wrapping = yt_dlp.utils.ExtractorError("An extractor error has occurred.", cause=bug)
    assert isinstance(classify(describe(wrapping)), f.ExtractionFailedError)
    found = yt_dlp.utils.RegexNotFoundError("Unable to extract login form")
    assert isinstance(classify(describe(found)), f.ExtractionFailedError)


def test_want_of_memory_is_the_pages_fault_wherever_it_was_met() -> None:
    error = KeyError("a worse word than the cause")
    error.__cause__ = MemoryError()
    for met in (MemoryError(), error, yt_dlp.utils.ExtractorError("Unable to read it", cause=MemoryError())):
        assert isinstance(classify(describe(met)), f.TooCostlyError), met


def test_what_an_extractor_has_worded_for_people_is_read_whatever_it_stumbled_over() -> None:
    worded = yt_dlp.utils.ExtractorError("This video is private", cause=KeyError("player"), expected=True)
    assert isinstance(classify(describe(worded)), f.PrivateVideoError)


def test_what_breaks_in_code_of_ours_that_yt_dlp_calls_is_ours() -> None:
    def hook(_info: object, **_: object) -> None:
        usable_formats({"formats": 1})

    with yt_dlp.YoutubeDL({"quiet": True, "match_filter": hook}) as ydl, pytest.raises(TypeError) as caught:
        ydl.process_video_result({"id": "x", "title": "x", "url": "http://x.example/a.mp4"}, download=True)
    assert isinstance(classify(describe(caught.value)), f.UnexpectedError)


def test_a_failure_of_ours_keeps_its_code_and_details() -> None:
    failure = classify(describe(wrapped(f.TooLongError("7200 s"))))
    assert (type(failure), failure.details) == (f.TooLongError, "7200 s")


def test_details_leave_out_advice_causes_and_secrets() -> None:
    message = (
        "ERROR: [x] Unable to open https://u:pw@x.example/?token=abc (caused by <HTTPError 500>); "
        "please report this issue on https://github.com/yt-dlp/yt-dlp/issues"
    )
    assert classify(ErrorReport(message=message)).details == "Unable to open https://***@x.example/?token=***"


@pytest.mark.parametrize(
    ("message", "details"),
    [
        ("ERROR: [generic] talk: HTTP Error 429", "talk: HTTP Error 429"),
        ("[youtube:tab] dQw4w9WgXcQ: Video unavailable", "dQw4w9WgXcQ: Video unavailable"),
        ("[generic] https://x.example/a: Connection refused", "https://x.example/a: Connection refused"),
        ("[Errno 104] Connection reset by peer", "[Errno 104] Connection reset by peer"),
    ],
)
def test_details_are_told_without_the_names_of_the_downloaders_parts(message: str, details: str) -> None:
    assert classify(ErrorReport(message=message)).details == details


@pytest.mark.parametrize(
    ("address", "video_id"),
    [
        ("https://www.youtube.com/watch?v=BaW_jenozKc&list=PLx&t=3s", "youtube-BaW_jenozKc"),
        ("https://youtu.be/BaW_jenozKc?utm_source=x", "youtube-BaW_jenozKc"),
        ("https://youtu.be/BaW_jenozKc?list=PLabcdefghijklmnopqrstuvwxyz012345", "youtube-BaW_jenozKc"),
        ("https://www.youtube.com/shorts/BaW_jenozKc", "youtube-BaW_jenozKc"),
        ("https://vimeo.com/76979871", "vimeo-76979871"),
        ("https://www.dailymotion.com/video/x5kesuj", "dailymotion-x5kesuj"),
    ],
)
def test_an_address_of_a_known_site_gives_the_sites_own_id(address: str, video_id: str) -> None:
    assert identify(address) == video_id


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/x.mp4",
        "https://www.youtube.com/playlist?list=PLabc",
        "https://www.youtube.com/@someone/videos",
        "https://www.youtube.com/results?search_query=cats",
        "https://a.bandcamp.com/track/intro",  # b.bandcamp.com has one too
        "https://www.ted.com/talks/a_talk",
    ],
)
def test_an_address_that_tells_no_id_of_one_video_is_hashed(address: str) -> None:
    assert identify(address).startswith("web-")
    assert identify(address) == identify(address.replace("http", "HTTP", 1) + "#fragment")


def test_two_artists_with_a_song_of_one_name_are_two_videos() -> None:
    assert identify("https://a.bandcamp.com/track/intro") != identify("https://b.bandcamp.com/track/intro")


def test_an_address_that_is_not_of_the_web_has_no_id() -> None:
    with pytest.raises(f.InvalidAddressError):
        identify("file:///etc/passwd")


def test_metadata_keeps_what_is_there_and_drops_what_is_malformed() -> None:
    info: dict[str, Any] = {
        "extractor": "youtube",
        "title": "T" * 900,
        "channel": "C",
        "duration": 61,
        "language": "en",
        "description": "d" * 5000,
        "upload_date": "20260102",
        "webpage_url": "https://user:pw@x.example/v?id=7&token=abc#t",
        "chapters": [{"title": "One", "start_time": 0, "end_time": 5}, {"title": "Bad", "start_time": 9}, None],
        "heatmap": [{"start_time": 0.0, "end_time": 1.0, "value": 1.7}, {"start_time": 2, "end_time": 1, "value": 1}],
        "http_headers": {"Cookie": "secret"},
        "formats": [{"url": "https://x.example/signed"}],
    }
    assert set(kept(info)).isdisjoint({"http_headers", "formats"})
    source = source_metadata(kept(info))
    assert (len(source.title), len(source.description)) == (500, 2000)
    assert (source.uploader, source.duration_s, source.upload_date) == ("C", 61.0, "20260102")
    assert source.webpage_url == "https://x.example/v?id=7&token=***"
    assert [chapter.title for chapter in source.chapters] == ["One"]
    assert source.heatmap == (HeatPoint(start_s=0, end_s=1, value=1),)


@pytest.mark.parametrize("duration", [None, float("nan"), float("inf"), -1, "12", True, 0])
def test_a_duration_that_is_no_length_is_missing(duration: object) -> None:
    source = source_metadata({"duration": duration, "title": None, "chapters": "x", "heatmap": 3})
    assert (source.extractor, source.duration_s, source.title, source.chapters) == ("generic", None, "", ())


def test_what_a_site_sends_fits_a_line_of_json_whatever_it_is() -> None:
    info = {"title": "a\ud800b" * 10**6, "chapters": [{"title": "\ud800", "x": object()}] * 10**5, "duration": object()}
    line = Success(name="x", info=kept(info), engine_version="1").model_dump_json()
    assert len(line) < 100_000
    assert classify(describe(yt_dlp.utils.ExtractorError("\ud800"))).details


def test_progress_weighs_each_file_by_its_size_and_is_throttled() -> None:
    told: list[Progress] = []
    meter = Meter(told.append, max_bytes=10_000)
    meter.plan({"requested_formats": [{"format_id": "v", "filesize": 900}, {"format_id": "a", "filesize": 100}]})
    for done in range(0, 901, 10):
        meter.on_progress(
            {"status": "downloading", "downloaded_bytes": done, "total_bytes": 900, "info_dict": {"format_id": "v"}}
        )
    meter.on_progress(
        {"status": "finished", "downloaded_bytes": 900, "total_bytes": 900, "info_dict": {"format_id": "v"}}
    )
    assert told[-1].fraction == pytest.approx(0.9)
    assert len(told) < 10


def test_only_formats_that_travel_over_http_are_left() -> None:
    urls = ["https://x.example/a.mp4", "rtmp://x.example/a", "ftp://x.example/a.mp4", "rtsp://x.example/a"]
    info = {"formats": [{"url": url, "ext": "mp4"} for url in urls]}
    usable_formats(info)
    assert [each["url"] for each in info["formats"]] == urls[:1]
    single: dict[str, Any] = {"url": "rtmp://x.example/a", "ext": "flv"}
    usable_formats(single)
    assert single["formats"] == []


@pytest.mark.parametrize(
    ("formats", "chosen"),
    [
        ({"a": ("vp9", "none", 1080), "b": ("avc1", "none", 720), "c": ("none", "mp4a", 0)}, "b+c"),
        ({"a": ("avc1", "mp4a", 2160), "b": ("avc1", "mp4a", 720)}, "b"),
        ({"a": ("avc1", "mp4a", 4320), "b": ("avc1", "mp4a", 2160)}, "b"),
        ({"a": ("vp9", "opus", 480)}, "a"),
        ({"a": ("none", "opus", 0)}, "a"),
        ({"a": ("avc1", "none", 480)}, "a"),
    ],
)
def test_formats_are_chosen_by_codec_and_height(formats: dict[str, tuple[str, str, int]], chosen: str) -> None:
    described = [
        {
            "format_id": name,
            "url": f"https://x.example/{name}",
            "ext": "mp4",
            "vcodec": v,
            "acodec": a,
            "height": h or None,
        }
        for name, (v, a, h) in formats.items()
    ]
    options = {
        "quiet": True,
        "format": format_selection(1080),
        "format_sort": ["res:1080", "vcodec:h264", "acodec:aac"],
    }
    with yt_dlp.YoutubeDL({**options, "simulate": True}) as ydl:
        info = ydl.process_video_result(
            {"id": "x", "title": "x", "extractor": "x", "formats": described}, download=False
        )
    assert info["format_id"] == chosen


def test_the_downloader_reads_and_writes_nothing_but_the_video() -> None:
    job = Job(
        address="http://x.example", folder="/x", proxy="http://p:1", max_height=1080, max_bytes=1, max_duration_s=1.0
    )
    options = ydl_options(job, on_progress=print, on_postprocess=print, on_choice=print)
    assert options["proxy"] == "http://p:1"
    assert options["cachedir"] is False
    assert options["skip_unavailable_fragments"] is False
    assert "title" not in options["outtmpl"]["default"]
    writers = {"cookiefile", "cookiesfrombrowser", "usenetrc", "enable_file_urls", "writeinfojson", "exec_cmd"}
    assert writers.isdisjoint(options)
