"""Pages, playlists and archives that cost more than they weigh, never end, or come slowly.

``make`` is given what that of ``ways`` is given.
"""

import gzip
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

from madvision_assets_tests.attack import fetching, ways
from madvision_assets_tests.attack.canaries import Canaries
from madvision_assets_tests.attack.rows import Attack, End, Family
from madvision_assets_tests.site import Page, Site

Make = Callable[[Site, Canaries], str]
HTML = b"<!doctype html><html><title>"
MB = 1_000_000
TIMELINE = '<SegmentTimeline><S t="0" d="1" r="1000000000"/></SegmentTimeline>'
BLOCK = b"a" * MB
UNPACKED_MB = 3_000
FAILS = (End.FOR_GOOD,)
TIRED = (End.FOR_GOOD, End.LATER)  # a site that is slow may have a bad day
PASSES = (End.FOR_GOOD, End.HARMLESS)


def answer(body: bytes | list[bytes], path: str = "/page.html", **headers: str) -> Make:
    named = {"Content-Type": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}}

    def make(site: Site, _: Canaries) -> str:
        site.add(path, Page(body, headers=named))
        return path

    return make


def packed(unpacked_mb: int) -> list[bytes]:
    """A deflate stream of so many million times ``a``: one block, which depends on no other, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = packer.compress(HTML) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    return [head, *[block] * unpacked_mb]


def gzipped(unpacked_mb: int) -> list[bytes]:
    head = gzip.compress(b"")[:10]
    return [head, *packed(unpacked_mb)]


def _brotli(site: Site, canaries: Canaries) -> str:
    import brotli  # type: ignore[import-untyped] # it carries no types

    packer = brotli.Compressor(quality=1, lgwin=24)
    blocks = [packer.process(HTML), *(packer.process(BLOCK * 50) for _ in range(UNPACKED_MB // 50)), packer.finish()]
    return answer(b"".join(blocks), Content_Encoding="br")(site, canaries)


def _bombs() -> Iterator[Attack]:
    kind = "pages that unpack to gigabytes"
    twice = gzip.compress(b"".join(gzipped(UNPACKED_MB)), 1)
    playlist = {"Content_Encoding": "gzip", "Content_Type": "application/x-mpegurl"}
    video = {"Content_Encoding": "gzip", "Content_Type": "video/mp4"}
    for name, make, right, short in (
        ("gzip", answer(gzipped(UNPACKED_MB), Content_Encoding="gzip"), FAILS, True),
        ("deflate", answer([b"\x78\x9c", *packed(UNPACKED_MB)], Content_Encoding="deflate"), FAILS, False),
        ("brotli", _brotli, FAILS, False),
        ("gzip in gzip", answer(twice, Content_Encoding="gzip, gzip"), TIRED, False),
        ("gzip, as a playlist", answer(gzipped(UNPACKED_MB), "/a.m3u8", **playlist), FAILS, False),
        ("gzip, as a video", answer(gzipped(UNPACKED_MB), "/a.mp4", **video), (*TIRED, End.HARMLESS), True),
    ):
        yield Attack(name, kind, make, right, short)


def _endless() -> Iterator[Attack]:
    kind = "answers without end"
    many = [BLOCK] * 20_000
    yield Attack("a page", kind, answer([HTML, *many]), FAILS)
    yield Attack("a page in chunks", kind, _framed([HTML, *many], "chunked"), FAILS, short=False)
    yield Attack("a page of untold length", kind, _framed([HTML, *many], "close"), FAILS, short=False)
    yield Attack("a video of untold length", kind, _framed(many, "close", "/a.mp4", "video/mp4"), FAILS, short=False)
    yield Attack("a video in chunks", kind, _framed(many, "chunked", "/a.mp4", "video/mp4"), FAILS)
    yield Attack(
        "a title",
        kind,
        answer(HTML + b"t" * 20 * MB + b"</title><video src=/film.mp4>"),
        (*TIRED, End.HARMLESS),
        short=False,
    )
    yield Attack("a header", kind, _headers({"X-Long": "a" * 200_000}), TIRED, short=False)
    yield Attack("headers", kind, _headers({f"X-{n}": "a" * 1000 for n in range(5000)}), TIRED, short=False)
    yield Attack("redirects in a circle", kind, _circle, TIRED)
    yield Attack("segments without end", kind, _segments, FAILS, short=False)


def _framed(body: list[bytes], framing: str, path: str = "/page.html", content_type: str = "text/html") -> Make:
    def make(site: Site, _: Canaries) -> str:
        page = Page(body, headers={"Content-Type": content_type}, framing="close" if framing == "close" else "chunked")
        site.add(path, page)
        return path

    return make


def _headers(headers: dict[str, str]) -> Make:
    return lambda site, _: _put(site, Page(HTML, headers={"Content-Type": "text/html", **headers}))


def _put(site: Site, page: Page, path: str = "/page.html") -> str:
    site.add(path, page)
    return path


def _circle(site: Site, _: Canaries) -> str:
    site.redirect("/a", "/b")
    site.redirect("/b", "/a")
    return "/a"


def _segments(site: Site, _: Canaries) -> str:
    """A million segments, which are one file over and over."""
    site.serve("/1.ts", ways.segment() * 50)
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", *("#EXTINF:0.0001,\n/1.ts",) * 200_000, "#EXT-X-ENDLIST"]
    site.serve("/a.m3u8", "\n".join(lines).encode(), content_type="application/x-mpegurl")
    return "/a.m3u8"


def _claims() -> Iterator[Attack]:
    kind = "pages and playlists that claim"
    timeline = f'<SegmentTemplate media="$Number$" initialization="i" timescale="1">{TIMELINE}</SegmentTemplate>'
    yield Attack("a billion segments in a line of DASH", kind, ways.dash("", timeline), FAILS)
    numbers = '<SegmentTemplate media="$Number$" initialization="i" timescale="1000000" duration="1"/>'
    yield Attack("two million segments by DASH's durations", kind, ways.dash("", numbers), TIRED, short=False)
    width = '<SegmentTemplate media="$Number%0999999999d$" initialization="i" duration="1"/>'
    yield Attack("a number of a billion digits in DASH", kind, ways.dash("", width), TIRED)
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    text = f'<?xml version="1.0"?><!DOCTYPE MPD [<!ENTITY l0 "lol">{laughs}]>'
    text += '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">&l11;</MPD>'
    yield Attack("entities of entities", kind, answer(text.encode(), "/a.mpd", Content_Type=ways.MPD), TIRED)
    deep = b'<?xml version="1.0"?>' + b"<a>" * 2_000_000
    yield Attack("elements in each other", kind, answer(deep, "/a.mpd", Content_Type=ways.MPD), TIRED, short=False)
    nested = HTML + b'</title><script type="application/ld+json">' + b"[" * 2_000_000 + b"</script>"
    yield Attack("JSON in JSON", kind, answer(nested), TIRED, short=False)
    many = HTML + b"</title>" + b'<video src="/film.mp4"></video>' * 200_000
    yield Attack("200,000 videos", kind, answer(many), TIRED, short=False)
    for name, piece in {
        "tags that do not end": b"<video ",
        "frames that do not end": b'<iframe src="', "quotes": b"'\"" , "blanks": b"<meta \t\t\t",
        "players that do not end": b"jwplayer('a').setup({", "sources that do not end": b"<source src=",
    }.items():  # fmt: skip
        body = HTML + b"</title>" + piece * (1_000_000 // len(piece))
        yield Attack(f"a megabyte of {name}", kind, answer(body), TIRED, short=False)
    long = json.dumps(
        {
            "@context": "https://schema.org",
            "@type": "VideoObject",
            "contentUrl": "/film.mp4",
            "duration": "PT" + "9" * 5000 + "H",
        }
    )
    page = f'<html><title>a</title><script type="application/ld+json">{long}</script>'.encode()
    yield Attack("a duration of 5,000 digits", kind, answer(page), (*TIRED, End.HARMLESS), short=False)
    live = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1e308,\n/1.ts\n#EXTINF:nan,\n/1.ts\n#EXT-X-ENDLIST"
    yield Attack(
        "durations that are no numbers",
        kind,
        answer(live, "/a.m3u8", Content_Type="application/x-mpegurl"),
        TIRED,
        short=False,
    )


def _slow() -> Iterator[Attack]:
    kind = "answers that come slowly"

    def make(path: str, content_type: str, bytes_per_s: int) -> Make:
        return lambda s, _: s.serve(path, BLOCK, content_type=content_type, bytes_per_s=bytes_per_s).partition(
            str(s.port)
        )[2]

    yield Attack("a page, byte by byte", kind, make("/page.html", "text/html", 20), TIRED, short=False)
    yield Attack("a video, byte by byte", kind, make("/a.mp4", "video/mp4", 20), TIRED)


def _archives() -> Iterator[Attack]:
    """They are fetched as whatever they say they are, and judged by the probe (``files`` has them too)."""
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../../tmp/a.mp4", bytes(50 * MB))
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        link = tarfile.TarInfo("a.mp4")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    for name, body, content_type in (
        ("zip", zipped.getvalue(), "application/zip"),
        ("tar with a link", tarred.getvalue(), "application/x-tar"),
        ("zip, as a video", zipped.getvalue(), "video/mp4"),
    ):
        make = answer(body, f"/a.{name[:3]}", Content_Type=content_type)
        yield Attack(name, "archives", make, PASSES, short=name == "zip, as a video")


def _names() -> Iterator[Attack]:
    kind = "names that lead out of the folder"
    for name in ("../../../../tmp/evil.mp4", "a.mp4; rm -rf ~", "-i.mp4", "%(id)s.%(ext)s", "a\x1b]0;owned\x07.mp4"):
        quoted = name.encode("ascii", "backslashreplace").decode()
        make = answer([BLOCK], "/a", Content_Type="video/mp4", Content_Disposition=f'attachment; filename="{quoted}"')
        yield Attack(f"as an attachment: {quoted}", kind, make, PASSES, short=name.startswith(".."))
    title = "<html><title>../../../../tmp/$(id)`id`\x1b[2J%s%n</title><video src=/film.mp4></video>"
    yield Attack("as a title", kind, _with_film(title), PASSES)


def _with_film(text: str) -> Make:
    def make(site: Site, canaries: Canaries) -> str:
        site.serve("/film.mp4", ways.film(), content_type="video/mp4")
        return answer(text.encode())(site, canaries)

    return make


ATTACKS = [*_bombs(), *_endless(), *_claims(), *_slow(), *_archives(), *_names()]
FAMILY = Family("pages", ATTACKS, fetching.opened, wall_s=70.0)
