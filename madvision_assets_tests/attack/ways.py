"""Ways from a public page to the inside: redirects, names that change their answer, what pages and playlists name.

``make`` is given the attacker's site and the canaries, puts what it needs at the site, and gives the path to submit.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from madvision_assets_tests import footage
from madvision_assets_tests.attack import fetching
from madvision_assets_tests.attack.canaries import Canaries
from madvision_assets_tests.attack.rows import Attack, End, Family
from madvision_assets_tests.site import Page, Site

STOPPED = (End.BY_THE_PROXY, End.FOR_GOOD)
NOT_THERE = (*STOPPED, End.LATER)  # it is taken for a path of the attacker's own site
STOPPED_OR_HARMLESS = (*STOPPED, End.HARMLESS)
Make = Callable[[Site, Canaries], str]
SHORT_STATUSES = (302,)
MPD = "application/dash+xml"
SMIL = '<smil><head><meta base="INSIDE"/></head><body><video src="INSIDE.mp4"/></body></smil>'
XSPF = (
    '<playlist xmlns="http://xspf.org/ns/0/"><trackList><track><location>INSIDE.mp4</location></track></trackList>'
    "</playlist>"
)
RSS = (
    '<rss version="2.0"><channel><title>a</title><item><title>b</title>'
    '<enclosure url="INSIDE.mp4" type="video/mp4"/></item></channel></rss>'
)


@cache
def segment() -> bytes:
    """Two seconds of MPEG-TS."""
    with TemporaryDirectory() as name:
        talk = footage.talking(Path(name) / "talk.mp4", 2.0)
        footage.ffmpeg("-i", talk, "-c", "copy", talk.with_suffix(".ts"))
        return talk.with_suffix(".ts").read_bytes()


@cache
def film() -> bytes:
    """Two seconds of MP4."""
    with TemporaryDirectory() as name:
        return footage.talking(Path(name) / "talk.mp4", 2.0).read_bytes()


def _redirect(status: int, to: Callable[[Site, Canaries], str]) -> Make:
    def make(site: Site, canaries: Canaries) -> str:
        site.add("/talk.mp4", Page(b"", status, {"Location": to(site, canaries)}))
        return "/talk.mp4"

    return make


def _page(body: str, **headers: str) -> Make:
    """A page in which INSIDE, FILE and PORT stand for an inside address, a secret file, and the inside's port."""

    def make(site: Site, canaries: Canaries) -> str:
        text = _filled(f"<!DOCTYPE html><html><head><title>A talk</title></head><body>{body}</body></html>", canaries)
        filled = {name.replace("_", "-"): _filled(value, canaries) for name, value in headers.items()}
        site.add("/page", Page(text.encode(), headers={"Content-Type": "text/html", **filled}))
        return "/page"

    return make


def _hls(*lines: str, path: str = "/talk.m3u8") -> Make:
    """A media playlist with these lines after its head, each filled like a page."""
    head = ("#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:2", "#EXT-X-MEDIA-SEQUENCE:0")

    def make(site: Site, canaries: Canaries) -> str:
        site.serve("/1.ts", segment())
        text = _filled("\n".join((*head, *lines, "#EXT-X-ENDLIST")), canaries)
        site.serve(path, text.encode(), content_type="application/vnd.apple.mpegurl")
        return path

    return make


def _master(*lines: str) -> Make:
    def make(site: Site, canaries: Canaries) -> str:
        _hls("#EXTINF:2,", "/1.ts", path="/media.m3u8")(site, canaries)
        text = _filled("\n".join(("#EXTM3U", *lines)), canaries)
        site.serve("/master.m3u8", text.encode(), content_type="application/vnd.apple.mpegurl")
        return "/master.m3u8"

    return make


def dash(
    base: str, template: str = '<SegmentTemplate media="$Number$.m4s" initialization="init" duration="1"/>'
) -> Make:
    def make(site: Site, canaries: Canaries) -> str:
        mpd = f"""<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
 mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4">{base}<Representation id="1"
 bandwidth="1000" codecs="avc1.4d401e" width="320" height="180">
{template}</Representation></AdaptationSet></Period></MPD>"""
        site.serve("/talk.mpd", _filled(mpd, canaries).encode(), content_type=MPD)
        return "/talk.mpd"

    return make


def _filled(text: str, canaries: Canaries) -> str:
    text = text.replace("INSIDE", f"{canaries.url}/inside").replace("FILE", f"file://{canaries.file('secret.ts')}")
    return text.replace("PORT", str(canaries.port)).replace("THEKEY", f"file://{canaries.file('secret.key')}")


def _redirects() -> Iterator[Attack]:
    for status in (301, 302, 303, 307, 308):
        make = _redirect(status, lambda _, canaries: f"{canaries.url}/inside")
        yield Attack(f"{status} to loopback", "redirects", make, STOPPED, short=status in SHORT_STATUSES)
    targets: dict[str, Callable[[Site, Canaries], str]] = {
        "without a scheme": lambda _, c: f"//127.0.0.1:{c.port}/inside",
        "to a decimal host": lambda _, c: f"http://2130706433:{c.port}/inside",
        "to IPv6": lambda _, c: f"http://[::1]:{c.port}/inside",
        "to a mapped host": lambda _, c: f"http://[::ffff:7f00:1]:{c.port}/inside",
        "to a name of the inside": lambda _, c: f"http://localhost:{c.port}/inside",
        "to a name whose answer is loopback": lambda _, c: f"http://loopback.example:{c.port}/inside",
        "to a name with a mixed answer": lambda _, c: f"http://mixed.example:{c.port}/inside",
        "to a cloud's metadata": lambda *_: "http://169.254.169.254/latest/meta-data/",
        "to https": lambda _, c: f"https://127.0.0.1:{c.port}/inside",
        "with a user": lambda _, c: f"http://site.example@127.0.0.1:{c.port}/inside",
        "to a file": lambda _, c: f"file://{c.file('secret.txt')}",
        "to FTP": lambda _, c: f"ftp://127.0.0.1:{c.port}/inside",
        "to data": lambda *_: "data:video/mp4;base64,AAAA",
    }
    short = {"to a name whose answer is loopback", "to a cloud's metadata", "to a file"}
    for name, to in targets.items():
        yield Attack(name, "redirects", _redirect(302, to), STOPPED, short=name in short)
    yield Attack("by way of another public site", "redirects", _by_another, STOPPED, short=False)
    yield Attack("only once it is fetched", "redirects", _second_time, STOPPED, short=False)


def _by_another(site: Site, canaries: Canaries) -> str:
    site.redirect("/last", f"{canaries.url}/inside")
    site.redirect("/talk.mp4", f"http://{fetching.OTHER_HOST}:{site.port}/last")
    return "/talk.mp4"


def _second_time(site: Site, canaries: Canaries) -> str:
    """A film when it is looked at, and a redirect from then on."""
    site.redirect("/then.mp4", f"{canaries.url}/inside")
    site.add("/talk.mp4", Page(film(), headers={"Content-Type": "video/mp4"}, answers=1))
    page = f'<video src="http://{fetching.PUBLIC_HOST}:{site.port}/then.mp4"></video>'
    return _page(page)(site, canaries)


def _pages() -> Iterator[Attack]:
    for name, body in {
        "video": '<video src="INSIDE.mp4"></video>',
        "source": '<video><source src="INSIDE.mp4" type="video/mp4"></video>',
        "open graph": '<meta property="og:video" content="INSIDE.mp4">',
        "player card": '<meta name="twitter:player:stream" content="INSIDE.mp4">',
        "JSON-LD": '<script type="application/ld+json">{"@context":"https://schema.org","@type":"VideoObject",'
        '"name":"a","contentUrl":"INSIDE.mp4"}</script>',
        "a player's setup": '<script>jwplayer("a").setup({"file":"INSIDE.mp4"})</script>',
        "embedded frame": '<iframe src="INSIDE.html"></iframe>',
        "embedded player of a known site": '<iframe src="http://127.0.0.1:PORT/embed/dQw4w9WgXcQ"></iframe>',
        "refresh": '<meta http-equiv="refresh" content="0; url=INSIDE.mp4">',
        "a file": '<video src="FILE"></video>',
        "FTP": '<video src="ftp://127.0.0.1:PORT/a.mp4"></video>',
        "RTMP": '<video src="rtmp://127.0.0.1:PORT/a"></video>',
        "RTSP": '<video src="rtsp://127.0.0.1:PORT/a.mp4"></video>',
        "WebSocket": '<video src="ws://127.0.0.1:PORT/a.mp4"></video>',
        "subtitles": '<video src="/film.mp4"><track kind="captions" src="INSIDE.vtt"></video>',
        "poster": '<video src="/film.mp4" poster="INSIDE.jpg"></video>',
    }.items():
        right = STOPPED_OR_HARMLESS if "/film.mp4" in body else STOPPED
        yield Attack(name, "what a page names", _with_film(_page(body)), right, short=name in {"video", "FTP"})
    refresh = _page("", Refresh="0; url=INSIDE.mp4")
    yield Attack("refresh, as a header", "what a page names", refresh, STOPPED, short=False)


def _with_film(make: Make) -> Make:
    def both(site: Site, canaries: Canaries) -> str:
        site.serve("/film.mp4", film(), content_type="video/mp4")
        return make(site, canaries)

    return both


def _playlists() -> Iterator[Attack]:
    one = ("#EXTINF:2,", "/1.ts", "#EXTINF:2,")
    variant = "#EXT-X-STREAM-INF:BANDWIDTH=1000,RESOLUTION=320x180"
    made: dict[str, Make] = {
        "HLS segment": _hls(*one, "INSIDE.ts"),
        "HLS segment of a file": _hls(*one, "FILE"),
        "HLS segment by a path": _hls(*one, "/../../../../etc/passwd"),
        "HLS segment by concat": _hls(*one, "concat:INSIDE.ts|INSIDE.ts"),
        "HLS segment by subfile": _hls(*one, "subfile,,start,0,end,64,,:FILE"),
        "HLS segment over RTMP": _hls(*one, "rtmp://127.0.0.1:PORT/a.ts"),
        "HLS segment over UDP": _hls(*one, "udp://127.0.0.1:PORT/a.ts"),
        "HLS key": _hls('#EXT-X-KEY:METHOD=AES-128,URI="INSIDE.key"', "#EXTINF:2,", "/1.ts"),
        "HLS key of a file": _hls('#EXT-X-KEY:METHOD=AES-128,URI="THEKEY"', "#EXTINF:2,", "/1.ts"),
        "HLS map": _hls('#EXT-X-MAP:URI="INSIDE.mp4"', "#EXTINF:2,", "/1.ts"),
        "HLS by SAMPLE-AES": _hls('#EXT-X-KEY:METHOD=SAMPLE-AES,URI="INSIDE.key"', "#EXTINF:2,", "/1.ts"),
        "HLS variant": _master(variant, "INSIDE.m3u8"),
        "HLS variant of a file": _master(variant, "FILE"),
        "HLS sound": _master(
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,URI="INSIDE.m3u8"',
            f'{variant},AUDIO="a",CODECS="avc1.4d401e,mp4a.40.2"',
            "/media.m3u8",
        ),
        "HLS subtitles": _master(
            '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="s",LANGUAGE="en",URI="INSIDE.m3u8"',
            f'{variant},SUBTITLES="s"',
            "/media.m3u8",
        ),
        "HLS session key": _master('#EXT-X-SESSION-KEY:METHOD=AES-128,URI="INSIDE.key"', variant, "/media.m3u8"),
        "DASH base": dash("<BaseURL>INSIDE/</BaseURL>"),
        "DASH base of a file": dash("<BaseURL>FILE</BaseURL>", ""),
        "DASH template": dash("", '<SegmentTemplate media="INSIDE/$Number$" initialization="INSIDE/i" duration="1"/>'),
        "DASH list": dash(
            "",
            '<SegmentList duration="1"><Initialization sourceURL="INSIDE/i"/><SegmentURL media="INSIDE/1"/>'
            "</SegmentList>",
        ),
        "DASH entity of a file": _entity,
        "SMIL": _typed("/talk.smil", SMIL),
        "XSPF": _typed("/talk.xspf", XSPF),
        "RSS": _typed("/talk.rss", RSS),
    }
    harmless = {"HLS subtitles", "HLS session key"}
    not_there = {"HLS segment by a path", "HLS segment by subfile", "DASH base of a file"}
    short = {
        "HLS segment",
        "HLS key of a file",
        "HLS variant",
        "DASH base",
        "DASH entity of a file",
        "HLS segment of a file",
    }
    for name, make in made.items():
        right = STOPPED_OR_HARMLESS if name in harmless else NOT_THERE if name in not_there else STOPPED
        yield Attack(name, "what a playlist names", make, right, short=name in short)


def _typed(path: str, text: str) -> Make:
    def make(site: Site, canaries: Canaries) -> str:
        site.serve(path, _filled(text, canaries).encode(), content_type="application/xml")
        return path

    return make


def _entity(site: Site, canaries: Canaries) -> str:
    """An external entity, which would put the file into the address of a segment that is then asked for."""
    mpd = f"""<?xml version="1.0"?><!DOCTYPE MPD [<!ENTITY e SYSTEM "file://{canaries.file("secret.txt")}">]>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S"><Period><AdaptationSet
 mimeType="video/mp4"><BaseURL>/&e;/</BaseURL><Representation id="1" bandwidth="1" width="2" height="2">
<SegmentTemplate media="$Number$" initialization="i" duration="1"/></Representation></AdaptationSet></Period></MPD>"""
    site.serve("/talk.mpd", mpd.encode(), content_type=MPD)
    return "/talk.mpd"


def _names() -> Iterator[Attack]:
    for host in ("rebinding", "mixed-first", "v6", "nat64"):
        name = f"{host}.example"
        yield Attack(name, "names", _submitted(name), NOT_THERE, short=host == "mixed-first")


def _submitted(name: str) -> Make:
    return lambda _, canaries: f"http://{name}:{canaries.port}/inside.mp4"


FAMILY = Family("ways", [*_redirects(), *_names(), *_pages(), *_playlists()], fetching.opened, wall_s=40.0)
