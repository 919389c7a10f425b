"""Small MP4s that claim what their bytes cannot hold, made out of a real one by rewriting its boxes."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from madvision_assets_tests.footage import ffmpeg, talking

PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")
Change = Callable[[bytes, bytes], bytes]


def box(kind: bytes, payload: bytes) -> bytes:
    """A box."""
    return struct.pack(">I4s", len(payload) + 8, kind) + payload


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and payload of each box."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + length]
        at += length


def rewritten(data: bytes, change: Change) -> bytes:
    """The boxes with each one at its end changed: ``change`` gets type and payload, and gives the payload."""
    made = []
    for kind, payload in boxes(data):
        inner = rewritten(payload, change) if kind in PARENTS else payload
        made.append(box(kind, change(kind, inner)))
    return b"".join(made)


def claiming(out: Path, change: Change) -> Path:
    """A video of a second whose index is changed; it stands at the end, so that nothing else moves."""
    whole = talking(out.with_suffix(".talk.mp4"), 1.0)
    ffmpeg("-i", whole, "-c", "copy", out)
    out.write_bytes(rewritten(out.read_bytes(), change))
    whole.unlink()
    return out


def edits(out: Path, count: int) -> Path:
    """An edit list of so many entries, each of all of the video."""
    entry = struct.pack(">IiI", 1000, 0, 0x10000)
    return claiming(out, lambda kind, old: struct.pack(">II", 0, count) + entry * count if kind == b"elst" else old)


def samples(out: Path, count: int, *, handler: bytes = b"vide") -> Path:
    """Samples of one byte, so many of them, in the track of the picture or of the sound (``soun``)."""
    current = b""

    def change(kind: bytes, old: bytes) -> bytes:
        nonlocal current
        if kind == b"hdlr" and not old[8:12].startswith(b"mdir"):
            current = old[8:12]
        if current == handler and kind == b"stsz":
            return struct.pack(">III", 0, 1, count)
        if current == handler and kind == b"stsc":
            return struct.pack(">IIIII", 0, 1, 1, count, 1)
        if current == handler and kind == b"stts":
            return struct.pack(">IIII", 0, 1, count, 2)
        return old

    return claiming(out, change)


def times(out: Path, count: int) -> Path:
    """Times of so many samples, in its second entry."""
    return claiming(out, lambda kind, old: struct.pack(">IIIIII", 0, 2, 1, 512, count, 512) if kind == b"stts" else old)


def fragments(out: Path, count: int) -> Path:
    """A fragment whose run claims so many samples."""
    run = struct.pack(">II", 0, count)
    header = struct.pack(">III", 0x20000, 1, 0)
    moof = box(b"moof", box(b"mfhd", bytes(8)) + box(b"traf", box(b"tfhd", header) + box(b"trun", run)))
    whole = talking(out, 1.0)
    whole.write_bytes(whole.read_bytes() + moof)
    return out


def tracks(out: Path, count: int) -> Path:
    """The picture's track so many times."""

    def change(kind: bytes, old: bytes) -> bytes:
        if kind != b"moov":
            return old
        track = next(box(*each) for each in boxes(old) if each[0] == b"trak")
        return old + track * count

    return claiming(out, change)


def size(out: Path, width: int, height: int) -> Path:
    """A picture of another size, as its track says."""

    def change(kind: bytes, old: bytes) -> bytes:
        if kind == b"stsd" and b"avc1" in old:
            return old[:40] + struct.pack(">HH", width, height) + old[44:]
        return old

    return claiming(out, change)


def nested(out: Path, depth: int) -> Path:
    """Boxes inside each other."""
    inner = b""
    for _ in range(depth):
        inner = box(b"moov", inner)
    whole = talking(out, 1.0)
    whole.write_bytes(whole.read_bytes() + inner)
    return out


def many(out: Path, count: int) -> Path:
    """Empty boxes, so many."""
    whole = talking(out, 1.0)
    whole.write_bytes(whole.read_bytes() + box(b"free", b"") * count)
    return out


def packed(out: Path, unpacked_bytes: int) -> Path:
    """An index that is packed, of zeros, as QuickTime packed it."""
    import zlib

    stream = struct.pack(">I", unpacked_bytes) + zlib.compress(bytes(unpacked_bytes))
    index = box(b"moov", box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", stream)))
    out.write_bytes(box(b"ftyp", b"qt  " + bytes(8)) + index)
    return out
