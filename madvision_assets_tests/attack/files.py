"""Files of hostile media, through the real ingest: probe, MP4, sound, store, and then a check, a clip and its picture.

``make`` is given the path to write and the canaries, and gives the file, which may have another name.
"""

import gzip
import hashlib
import io
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from madvision_assets.connections import make_store
from madvision_assets.domain.cutting import plan_cut
from madvision_assets.domain.video import Video, file_video_id
from madvision_assets.tools.media import apart, cut, probe, thumbnails
from madvision_assets.work.ingest import Ingest
from madvision_assets_tests import claims, footage, odd_footage
from madvision_assets_tests.attack import disguises as d
from madvision_assets_tests.attack.canaries import Canaries
from madvision_assets_tests.attack.rows import FAILS_OR_HARMLESS, Attack, End, Ended, Family, Play
from madvision_assets_tests.downloads import DOWNLOADER
from madvision_assets_tests.intake.serving import settings_in

FAILS = (End.FOR_GOOD,)
MAX_DURATION_S, MAX_BYTES = 4 * 3600.0, 1 << 30
CLIP_S = 1.0
WALL_S = 300.0
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e%s%n$(id)`id`'\"<script>"
BIG = 0x7FFFFFFF
WAVE = b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 65535, BIG, BIG, 65535, 65535)
BITMAP = b"BM" + struct.pack("<IIIIiiHHIIiiII", BIG, 0, 54, 40, 65535, 65535, 1, 24, 0, 0, 0, 0, 0, 0)


@contextmanager
def opened(_: Path, canaries: Canaries) -> Iterator[Play]:
    """The ingest, with a store for each file."""

    def play(attack: Attack, own: Path, ready: Callable[[], None]) -> Ended:
        (own / "in").mkdir()
        path = attack.make(own / "in" / "film.mp4", canaries)
        ready()
        return _taken(path, own)

    yield play


def _taken(path: Path, own: Path) -> Ended:
    """What the pipeline makes of a file."""
    scratch, clips = own / "scratch", own / "clips"
    scratch.mkdir()
    clips.mkdir()
    store = make_store(settings_in(own / "home"))
    ingest = Ingest(store, DOWNLOADER, MAX_DURATION_S, MAX_BYTES)
    with path.open("rb") as file:
        video_id = file_video_id(hashlib.file_digest(file, "sha256").hexdigest())
    with apart.one_child():
        raw = ingest.take(Video(video_id=video_id, address=path.as_uri()), scratch, lambda *_: None).document
        media = clips / "media.mp4"
        store.download(raw.media.key, media)
        probe.verify_decodes(media, raw.info.tracks)
        plan = plan_cut(0.0, min(CLIP_S, raw.info.duration_s), raw.info)
        cut.cut_clip(media, plan, clips / "clip.mp4", raw.info.tracks)
        thumbnails.thumbnail(clips / "clip.mp4", clips / "clip.jpg")
    return Ended(End.HARMLESS, raw.model_dump_json(), (scratch, clips, own / "home"))


def _lists() -> Iterator[Attack]:
    kind = "lists of other files, as a video"
    short = {"HLS", "HLS of the inside", "HLS by concat", "concat", "DASH", "SDP", "SVG"}
    for name in d.LISTS:
        yield Attack(name, kind, d.listed(name), FAILS, short=name in short)
    for name, before in {
        "HLS after an ID3 tag": b"ID3\x04\0\0\0\0\0\0", "HLS after a box": claims.box(b"ftyp", b"isom" + bytes(8)),
        "HLS after a mark of order": b"\xef\xbb\xbf", "HLS after zeros": bytes(64), "HLS after blanks": b" " * 64,
        "HLS after G@": b"G@" + bytes(186), "HLS after RIFF": b"RIFF\xff\xff\xff\x7fAVI ",
        "HLS after a PNG": b"\x89PNG\r\n\x1a\n",
    }.items():  # fmt: skip
        yield Attack(name, kind, d.listed("HLS", before), FAILS, short=name == "HLS after an ID3 tag")
    for suffix in ("m3u8", "mkv", "ts", "mp3", "%03d.jpg"):
        make = d.listed("HLS")
        yield Attack(f"HLS as .{suffix}", kind, _renamed(make, f"a.{suffix}"), FAILS, short=suffix == "m3u8")


def _renamed(make: d.Make, name: str) -> d.Make:
    return lambda path, canaries: make(path, canaries).rename(path.with_name(name))


def _references() -> Iterator[Attack]:
    kind = "references to other files"
    yield Attack("dref by URL", kind, d.in_data_information(d.url_entry, b"url "), FAILS_OR_HARMLESS)
    yield Attack("dref by alias", kind, d.in_data_information(d.alias_entry, b"alis"), FAILS_OR_HARMLESS)
    yield Attack(
        "dref by a resource", kind, d.in_data_information(d.alias_entry, b"rsrc"), FAILS_OR_HARMLESS, short=False
    )
    yield Attack("a movie that refers to another", kind, d.reference_movie, FAILS)
    yield Attack("subtitles that are a playlist, in AVI", kind, d.gab2, FAILS_OR_HARMLESS)
    yield Attack("another segment, in Matroska", kind, d.matroska(_linked), FAILS_OR_HARMLESS)
    yield Attack("an attachment with a path, in Matroska", kind, _attached, FAILS_OR_HARMLESS)
    yield Attack("a cover by address, in ID3", kind, _cover, FAILS_OR_HARMLESS, short=False)
    yield Attack("subtitles with fonts and files", kind, _subtitled, FAILS_OR_HARMLESS)
    yield Attack("a script command with an address, in ASF", kind, _asf, FAILS_OR_HARMLESS, short=False)
    yield Attack(
        "a list of references, in ASF",
        kind,
        lambda p, c: d.put(p, d.filled("[Reference]\nRef1=INSIDE\nRef2=file:FILE\n", c)),
        FAILS,
        short=False,
    )
    yield Attack("a link", kind, _link, FAILS_OR_HARMLESS, short=False)


def _linked(canaries: Canaries) -> bytes:
    name = bytes(canaries.file("secret.mp4"))
    return d.ebml((0x1549A966, d.ebml((0x3E83BB, name), (0x3C83AB, name), (0x3EB923, bytes(16)))))


def _attached(path: Path, canaries: Canaries) -> Path:
    font = path.with_name("font.ttf")
    font.write_bytes(b"no font")
    out = path.with_suffix(".mkv")
    talk = d.put(path, d.film("mp4"))
    name = f"filename=../../../../{canaries.file('secret.ttf')}"
    footage.ffmpeg(
        "-i", talk, "-attach", font, "-c", "copy", "-metadata:s:t", "mimetype=font/ttf", "-metadata:s:t", name, out
    )
    return out


def _cover(path: Path, canaries: Canaries) -> Path:
    picture = b"\0-->\0\x03\0" + canaries.url.encode()
    frame = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    size = len(frame)
    head = b"ID3\x03\0\0" + bytes((size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127))
    return d.put(path.with_suffix(".mp3"), head + frame + d.film("mp4"))


def _subtitled(path: Path, canaries: Canaries) -> Path:
    talk, ass, out = d.put(path, d.film("mp4")), path.with_suffix(".ass"), path.with_suffix(".mkv")
    ass.write_bytes(d.filled(d.LISTS["SSA"], canaries))
    footage.ffmpeg("-i", talk, "-i", ass, "-map", "0", "-map", "1", "-c", "copy", "-c:s", "ass", out)
    return out


def _asf(path: Path, canaries: Canaries) -> Path:
    data = d.film("wmv")
    guid = bytes.fromhex("301AFB1E620BD011A39B00A0C90348F6")  # Script Command Object
    address = canaries.url.encode("utf-16-le")
    body = bytes(16) + struct.pack("<HH", 1, 1) + struct.pack("<H", 3) + "URL".encode("utf-16-le")
    body += struct.pack("<IHH", 0, 0, len(address) // 2) + address
    size, count = struct.unpack_from("<QI", data, 16)
    command = guid + struct.pack("<Q", 24 + len(body)) + body
    head = data[:16] + struct.pack("<QI", size + len(command), count + 1) + data[28:30]
    return d.put(path.with_suffix(".wmv"), head + command + data[30:])


def _link(path: Path, canaries: Canaries) -> Path:
    """A file of which most is a link would be followed by whoever opens it by its name; a tar holds it here."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo("film.mp4")
        entry.type, entry.linkname = tarfile.SYMTYPE, str(canaries.file("secret.mp4"))
        archive.addfile(entry)
    return d.put(path, made.getvalue())


def _bombs() -> Iterator[Attack]:
    kind = "files that claim"
    refused: dict[str, d.Make] = {
        "a million edits in 12 MB": lambda out, _: claims.edits(out, 1_000_000),
        "edits up to the limit": lambda out, _: claims.edits(out, 2_000),
        "80 million samples of a picture": lambda out, _: claims.samples(out, 80_000_000),
        "80 million samples of a sound": lambda out, _: claims.samples(out, 80_000_000, handler=b"soun"),
        "80 million times": lambda out, _: claims.times(out, 80_000_000),
        "80 million samples in a fragment": lambda out, _: claims.fragments(out, 80_000_000),
        "1,000 tracks": lambda out, _: claims.tracks(out, 1_000),
        "a picture of 60,000 pixels a side": lambda out, _: claims.size(out, 60_000, 60_000),
        "500 boxes in each other": lambda out, _: claims.nested(out, 500),
        "a million boxes": lambda out, _: claims.many(out, 1_000_000),
        "an index that unpacks to 100 MB": lambda out, _: claims.packed(out, 100_000_000),
    }
    for name, make in refused.items():
        yield Attack(name, kind, make, FAILS, cheap=True)
    for name, make in {
        "a picture of no pixels": lambda out, _: claims.size(out, 0, 0),
        "two billion chunks": d.numbers(b"stsc", (4, BIG)),
        "two billion chunk offsets": d.numbers(b"stco", (4, BIG)),
        "chunks beyond the end": d.numbers(b"stco", (8, BIG)),
        "samples of two gigabytes": d.numbers(b"stsz", (4, BIG)),
        "two billion key pictures": d.numbers(b"stss", (4, BIG)),
        "two billion shifts": d.numbers(b"ctts", (4, BIG), (8, BIG)),
        "two billion descriptions": d.numbers(b"stsd", (4, BIG)),
        "no clock": d.numbers(b"mdhd", (12, 0)),
        "a clock of two billion": d.numbers(b"mdhd", (12, BIG)),
        "a length of two billion": d.numbers(b"mdhd", (16, BIG)),
        "a film of two billion seconds": d.numbers(b"mvhd", (12, 1), (16, BIG)),
        "edits that turn back": d.numbers(b"elst", (4, 1), (12, 0x80000000)),
        "an edit at speed zero": d.numbers(b"elst", (16, 0)),
        "times that stand still": d.numbers(b"stts", (12, 0)),
        "times of two billion each": d.numbers(b"stts", (12, BIG)),
        "a box of 2^63 bytes": d.parts(d.film("mp4")[:32], struct.pack(">I4sQ", 1, b"mdat", 1 << 63)),
        "a box that ends before it begins": d.parts("mp4", struct.pack(">I4s", 3, b"moov") * 1000),
        "endless Matroska": d.matroska(lambda _: d.ebml((0x1C53BB6B, d.ebml(*[(0xBB, b"")] * 400_000)))),
        "Matroska in Matroska": d.matroska(lambda _: b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 20_000),
        "a million tags, in Matroska": d.matroska(lambda _: d.ebml((0x1254C367, d.ebml(*[(0x7373, b"")] * 300_000)))),
        "a WAV of four gigabytes": d.parts(WAVE, b"data\xff\xff\xff\xff", bytes(1000)),
    }.items():  # fmt: skip
        yield Attack(name, kind, make, FAILS_OR_HARMLESS, short=name in SHORT_BOMBS)


SHORT_SEEDS = {0, 3, 4, 102, 104}  # three of them were tried again and again once
SHORT_BOMBS = {"two billion chunks", "a film of two billion seconds", "endless Matroska"}


def _costly() -> Iterator[Attack]:
    kind = "pictures and sound that are dear to decode"
    yield Attack("a PNG of 30,000 pixels a side, in AVI", kind, _png, FAILS, cheap=True)
    yield Attack("2,500 pictures a second", kind, _fast, FAILS, cheap=True)
    yield Attack("600 attachments", kind, _attachments, FAILS, cheap=True)
    yield Attack("twenty hours of silence", kind, _silence, FAILS_OR_HARMLESS, short=False)
    yield Attack("8K for hours, in some megabytes", kind, _eight_k, FAILS_OR_HARMLESS, short=False)
    yield Attack("sound of 64 channels", kind, _channels, FAILS_OR_HARMLESS, short=False)


def _png(path: Path, _: Canaries) -> Path:
    source = odd_footage.coloured(path.with_suffix(".avi"), "0x102030", "64x64", "-c:v", "png")
    header = b"IHDR" + (64).to_bytes(4) * 2
    return d.put(source, source.read_bytes().replace(header, b"IHDR" + (30_000).to_bytes(4) * 2))


def _fast(path: Path, _: Canaries) -> Path:
    footage.ffmpeg(
        "-f", "lavfi", "-i", "color=s=16x16:r=25:d=200", *odd_footage.bursts(2.0), "-vf", "setpts=N/2500/TB",
        "-enc_time_base", "1/5000", "-fps_mode", "passthrough", *odd_footage.X264, out := path.with_suffix(".mkv"),
    )  # fmt: skip
    return out


def _attachments(path: Path, _: Canaries) -> Path:
    talk, font, out = d.put(path, d.film("mp4")), path.with_name("font.ttf"), path.with_suffix(".mkv")
    font.write_bytes(b"no font")
    attached = ["-attach", str(font)] * 600
    types = [each for n in range(600) for each in (f"-metadata:s:{n + 2}", "mimetype=font/ttf")]
    footage.ffmpeg("-i", talk, *attached, "-c", "copy", *types, out)
    return out


def _silence(path: Path, _: Canaries) -> Path:
    hours = "72000"
    footage.ffmpeg(
        "-f", "lavfi", "-i", f"color=s=16x16:r=1/60:d={hours}", "-f", "lavfi", "-i",
        f"anullsrc=r=8000:cl=mono:d={hours}",
        *odd_footage.X264, "-c:a", "flac", "-compression_level", "0", "-frame_size", "65535",
        out := path.with_suffix(".mkv"),
    )  # fmt: skip
    return out


def _eight_k(path: Path, _: Canaries) -> Path:
    """VP8 in WebM, which is encoded anew: one picture, and then that nothing changes, a few bytes each."""
    short = path.with_suffix(".short.mkv")
    footage.ffmpeg(
        "-f", "lavfi", "-i", "color=s=7680x4320:r=30:d=2", "-f", "lavfi", "-i",
        "anullsrc=r=8000:cl=mono:d=2", "-c:v", "mpeg2video",
        "-g", "600", "-c:a", "mp2", "-ar", "16000", short,
    )  # fmt: skip
    footage.ffmpeg("-stream_loop", "200", "-i", short, "-c", "copy", out := path.with_suffix(".mkv"))
    return out


def _channels(path: Path, _: Canaries) -> Path:
    talk = d.put(path, d.film("mp4"))
    layout = "pan=64C|" + "|".join(f"c{n}=c0" for n in range(64))
    footage.ffmpeg("-i", talk, "-c:v", "copy", "-af", layout, "-c:a", "pcm_s16le", out := path.with_suffix(".mov"))
    return out


def _damaged() -> Iterator[Attack]:
    kind = "damaged files"
    for number, name in enumerate(d.KINDS):
        yield Attack(
            f"half of a .{name}",
            kind,
            _renamed(d.cut(name, 0.5), f"a.{name}"),
            FAILS_OR_HARMLESS,
            short=name in {"mp4", "mkv"},
        )
        for seed in (number, number + 100):
            make = _renamed(d.damaged(name, seed), f"a.{name}")
            yield Attack(
                f"a .{name} with other bytes, {seed}", kind, make, FAILS_OR_HARMLESS, short=seed in SHORT_SEEDS
            )
    for name, data in {
        "nothing": b"", "a byte": b"\0", "zeros": bytes(1_000_000), "noise": noise(7),
        "noise in a box": claims.box(b"ftyp", b"isom" + bytes(8)) + claims.box(b"moov", noise(8)),
        "noise as Matroska": b"\x1aE\xdf\xa3" + noise(9), "noise as Ogg": b"OggS" + noise(10),
        "noise as MPEG-TS": b"".join(b"G" + noise(n)[:187] for n in range(500)),
        "noise as FLV": b"FLV\x01\x05\0\0\0\x09" + noise(11),
    }.items():  # fmt: skip
        yield Attack(name, kind, d.parts(data), FAILS, short=name in {"nothing", "noise in a box"})


def noise(seed: int) -> bytes:
    """100 kB that mean nothing."""
    return random.Random(seed).randbytes(100_000)  # noqa: S311 - the same every time


def _archives() -> Iterator[Attack]:
    kind = "archives, and files that are two things"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../tmp/evil.mp4", bytes(20_000_000))
    single: dict[str, tuple[bytes]] = {
        "a zip": (zipped.getvalue(),), "a gzip of a film": (gzip.compress(b"\0" * 20_000_000, 1),),
        "a 7z": (b"7z\xbc\xaf\x27\x1c" + bytes(1000),), "a RAR": (b"Rar!\x1a\x07\x01\0" + bytes(1000),),
        "a program": (b"\x7fELF" + bytes(10_000),), "a PDF": (b"%PDF-1.7\n" + bytes(1000),),
        "a picture of 65,535 pixels a side": (BITMAP,),
    }  # fmt: skip
    for name, made in single.items():
        yield Attack(name, kind, d.parts(*made), FAILS, short=name == "a zip")
    double: dict[str, tuple[bytes | str, bytes | str]] = {
        "a film and a zip": ("mp4", zipped.getvalue()),
        "a film and a page": ("mp4", b"<html><script>alert(1)</script>"),
        "a film and a playlist": ("mp4", b"\n#EXTM3U\n#EXTINF:2,\nfile:///etc/passwd\n"), "two films": ("mp4", "mp4"),
        "a Matroska and a film": ("mkv", "mp4"), "a picture and a film": (b"\x89PNG\r\n\x1a\n", "mp4"),
    }  # fmt: skip
    for name, both in double.items():
        yield Attack(name, kind, d.parts(*both), FAILS_OR_HARMLESS, short=name == "a film and a zip")


def _texts() -> Iterator[Attack]:
    kind = "names and texts that give orders"
    for name in (
        "-i.mp4",
        "%d.mp4",
        "a;id.mp4",
        "$(id).mp4",
        "http:x.mp4",
        "concat:a|b.mp4",
        "a\nb.mp4",
        "\u202ea.mp4",
        "a'b\"c.mp4",
        "a\x1b[2J.mp4",
    ):
        shown = name.encode("ascii", "backslashreplace").decode()
        make = _renamed(d.parts("mp4"), name)
        yield Attack(f"called {shown}", kind, make, FAILS_OR_HARMLESS, short=name in {"-i.mp4", "concat:a|b.mp4"})
    yield Attack("titles", kind, _titled(ESCAPES), FAILS_OR_HARMLESS)
    yield Attack("a title of a megabyte", kind, d.with_index(_long_title), FAILS_OR_HARMLESS, short=False)


def _titled(title: str) -> d.Make:
    def make(path: Path, _: Canaries) -> Path:
        talk, out = d.put(path, d.film("mp4")), path.with_suffix(".mkv")
        fields = [each for name in ("title", "artist", "comment") for each in ("-metadata", f"{name}={title}")]
        footage.ffmpeg("-i", talk, "-c", "copy", *fields, out)
        return out

    return make


def _long_title(kind: bytes, old: bytes, _: Canaries) -> bytes:
    if kind != b"udta":
        return old
    return claims.box(b"\xa9nam", struct.pack(">HH", 0xFFFF, 0) + os.urandom(1_000_000))


FAMILY = Family(
    "files",
    [*_lists(), *_references(), *_bombs(), *_costly(), *_damaged(), *_archives(), *_texts()],
    opened,
    wall_s=WALL_S,
)
