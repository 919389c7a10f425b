"""What a file says of its own structure, held against limits before anything works on it; in the child.

A few bytes of an MP4 can claim millions of samples, and its edits cost their number squared: both are read out of
its boxes (ISO/IEC 14496-12) without following them. What other containers claim is seen once they are open.
"""

import io
import os
import sys
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from madvision_assets.domain.failures import TooCostlyError
from madvision_assets.tools.media import dolby_vision

if TYPE_CHECKING:
    from av.container import InputContainer

MAX_PIXELS = 8192 * 4352  # 8K, as encoders round it up
MAX_SIDE_PX = 16_384
MAX_FPS = 1_000
MAX_STREAMS = 128
MAX_ATTACHMENTS = 512  # Matroska carries fonts
MAX_EDITS = 2_000
MAX_SAMPLES = 5_000_000  # four hours at 240 frames a second, and its sound
MAX_BOXES = 200_000
MAX_DEPTH = 16
MAX_INDEX_BYTES = 64 * 1024 * 1024  # of a packed one, unpacked
HEADER_BYTES, LARGE_HEADER_BYTES = 8, 16
PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"cmov")
TABLES = (b"stts", b"ctts")
TABLE_BYTES = 8 + 8 * MAX_SAMPLES
FIELDS_BYTES = 96  # of any other box, as many as are looked at
ENTRIES_BYTES = 64 * 1024  # of what is said of a track's coding
PICTURE_ENTRY_BYTES = 94  # up to the boxes in the first entry of a picture
SOUND = b"soun"


@dataclass
class _Claims:
    """What is claimed so far."""

    boxes: int = 0
    tracks: int = 0
    edits: int = 0
    samples: int = 0
    depth: int = 0


@dataclass
class _Track:
    """What one track says of its samples."""

    handler: bytes = b""
    samples: int = 0
    one_by_one: bool = False  # one tick each: uncompressed sound, which is read in chunks

    @property
    def counted(self) -> int:
        return 0 if self.handler == SOUND and self.one_by_one else self.samples


def refuse_claims(source: BinaryIO) -> None:
    """Looks through the boxes of an MP4 or MOV, and the head of a Matroska; leaves the stream at its start.

    Raises:
        TooCostlyError: it claims more tracks, edits, samples, boxes or pixels than any video has.
        UnsupportedColourError: its pictures cannot be shown.
    """
    source.seek(4)
    kind = source.read(4)
    size = source.seek(0, os.SEEK_END)
    if kind in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"pnot"):
        _look(source, 0, size, _Claims(), [_Track()])
    source.seek(0)
    head = source.read(dolby_vision.HEAD_BYTES)
    if head.startswith(dolby_vision.MATROSKA):
        dolby_vision.refuse_in_matroska(head)
    source.seek(0)


def refuse_streams(container: "InputContainer") -> None:
    """What every container says once it is open.

    Raises:
        TooCostlyError: too many streams or attachments, or pictures that are too large.
    """
    attached = sum(stream.type == "attachment" for stream in container.streams)
    _refuse_over("attachments", attached, MAX_ATTACHMENTS)
    _refuse_over("tracks", len(container.streams) - attached, MAX_STREAMS)
    for stream in container.streams.video:
        if stream.codec_context is None:  # nothing here decodes it
            continue
        refuse_picture(stream.codec_context.width, stream.codec_context.height)


def refuse_picture(width: int, height: int) -> None:
    """Dimensions, in pixels.

    Raises:
        TooCostlyError: they are over 8K.
    """
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise TooCostlyError(f"a picture of {width}x{height}; the limit is {MAX_PIXELS // 1_000_000} million pixels")


def _refuse_over(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise TooCostlyError(f"it claims {count} {what}; the limit is {limit}")


def _look(source: BinaryIO, at: int, end: int, claims: _Claims, tracks: list[_Track]) -> None:
    for kind, begin, stop in _boxes(source, at, end):
        claims.boxes += 1
        _refuse_over("boxes", claims.boxes, MAX_BOXES)
        if kind == b"trak":
            claims.tracks += 1
            _refuse_over("tracks", claims.tracks, MAX_STREAMS)
            tracks.append(_Track())
        if kind in PARENTS:
            claims.depth += 1
            _refuse_over("boxes inside each other", claims.depth, MAX_DEPTH)
            _look(source, begin, stop, claims, tracks)
            claims.depth -= 1
        elif kind == b"cmvd":
            _look_into_packed(source, begin, stop, claims, tracks)
        else:
            source.seek(begin)
            limit = TABLE_BYTES if kind in TABLES else ENTRIES_BYTES if kind == b"stsd" else FIELDS_BYTES
            _count(kind, source.read(min(limit, stop - begin)), claims, tracks[-1])
        if kind in (b"trak", b"traf"):
            counted = claims.samples + sum(track.counted for track in tracks)
            _refuse_over("samples", counted, MAX_SAMPLES)
            _refuse_over("edits", claims.edits, MAX_EDITS)


def _count(kind: bytes, fields: bytes, claims: _Claims, track: _Track) -> None:
    """Adds what a box claims; the fields are those after its header."""

    def number(at: int, length: int = 4) -> int:
        return int.from_bytes(fields[at : at + length])

    if kind == b"elst":
        claims.edits += number(4)
    elif kind == b"hdlr":
        track.handler = track.handler or fields[8:12]
    elif kind in (b"stsz", b"stz2"):
        track.samples = max(track.samples, number(8))
    elif kind in TABLES:
        track.one_by_one |= kind == b"stts" and number(4) == 1 and number(12) == 1
        _refuse_over("times", number(4), MAX_SAMPLES)
        track.samples = max(track.samples, _counts(fields[8 : 8 + 8 * number(4)]))
    elif kind == b"trun":
        claims.samples += number(4)
    elif kind == b"stsd" and track.handler == b"vide":
        refuse_picture(number(40, 2), number(42, 2))
        inside = io.BytesIO(fields)
        for record, begin, stop in _boxes(inside, PICTURE_ENTRY_BYTES, len(fields)):
            if record in dolby_vision.RECORDS:
                dolby_vision.refuse_record(fields[begin:stop])


def _counts(table: bytes) -> int:
    """The sum of the first of each two numbers of 32 bits."""
    numbers = array("I", table[: len(table) // 8 * 8])
    if sys.byteorder == "little":
        numbers.byteswap()
    return sum(numbers[::2])


def _look_into_packed(source: BinaryIO, begin: int, stop: int, claims: _Claims, tracks: list[_Track]) -> None:
    """An index that QuickTime packed."""
    source.seek(begin + 4)
    unpacker = zlib.decompressobj()
    try:
        index = unpacker.decompress(source.read(stop - begin - 4), MAX_INDEX_BYTES)
    except zlib.error:
        return  # told by whoever opens it
    _refuse_over("bytes of index", len(index) + bool(unpacker.unconsumed_tail), MAX_INDEX_BYTES)
    _look(io.BytesIO(index), 0, len(index), claims, tracks)


def _boxes(source: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, begin and end of what each box holds; ends at the first that is none."""
    while at + HEADER_BYTES <= end:
        source.seek(at)
        header = source.read(LARGE_HEADER_BYTES)
        length, begin = int.from_bytes(header[:4]), HEADER_BYTES
        if length == 1:  # the length is in the 64 bits that follow
            length, begin = int.from_bytes(header[8:16]), LARGE_HEADER_BYTES
        elif length == 0:  # to the end of what it is in
            length = end - at
        if length < begin:
            return
        yield header[4:8], at + begin, min(at + length, end)
        at += length
