"""Writes an MP4 with its index at the front, sample by sample (ISO/IEC 14496-12), from samples whose sizes are known.

Nothing of the picture depends on an edit list: its first sample is shown at 0, reordering is told by signed offsets
(``ctts`` version 1). Bytes are copied from where they lie when the file is written, so that memory stays small.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

MOVIE_TIMESCALE = 90_000
CHUNK_S = 0.5  # pictures and sound lie side by side in stretches of so long
MAX_32_BITS = 2**32 - 1
UNITY_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
UNDETERMINED = 0x55C4  # the language "und"
COPY_BYTES = 1024 * 1024

Piece = tuple[int, int] | bytes  # first byte of the source and the byte after the last; or what is written itself


@dataclass(frozen=True)
class Sample:
    """One coded frame.

    Attributes:
        size: bytes.
        data: its bytes; None where it is put together of ``pieces``.
        pieces: stretches of the source, and bytes between them.
        shift: when it is shown less when it is decoded, in samples.
        key: whether decoding may begin with it.
        entry: number of its sample description, from 1.
    """

    size: int
    data: bytes | None = None
    pieces: tuple[Piece, ...] = ()
    shift: int = 0
    key: bool = True
    entry: int = 1


@dataclass(frozen=True)
class Track:
    """A track whose samples all last equally long.

    Attributes:
        handler: ``vide`` or ``soun``.
        timescale: ticks a second.
        sample_ticks: how long each sample lasts.
        entries: its sample descriptions, whole boxes.
        samples: in decoding order.
        skipped_ticks: what an edit list leaves out at the beginning; 0 for no edit list.
        shown_ticks: what it shows.
        size_px: width and height.
    """

    handler: bytes
    timescale: int
    sample_ticks: int
    entries: Sequence[bytes]
    samples: Sequence[Sample]
    skipped_ticks: int = 0
    shown_ticks: int = 0
    size_px: tuple[int, int] = (0, 0)

    @property
    def duration_ticks(self) -> int:
        """All of it, or what the edit list shows."""
        return self.shown_ticks or len(self.samples) * self.sample_ticks

    @property
    def per_chunk(self) -> int:
        """How many samples lie together."""
        return max(1, round(CHUNK_S * self.timescale / self.sample_ticks))


@dataclass
class _Chunk:
    track: int
    first: int
    count: int
    entry: int
    offset: int = field(default=0)


def write(out: BinaryIO, tracks: Sequence[Track], source: BinaryIO) -> None:
    """Writes the file; ``source`` is where samples without data are copied from.

    Raises:
        ValueError: the source ends before a sample does.
        OSError: it cannot be written.
    """
    chunks = _chunks(tracks)
    media_bytes = sum(sample.size for track in tracks for sample in track.samples)
    is_large = media_bytes > MAX_32_BITS // 2
    head = _head(tracks, chunks, is_large)  # its length does not depend on the offsets
    at = len(head) + (16 if is_large else 8)
    for chunk in chunks:
        chunk.offset = at
        at += sum(sample.size for sample in _samples(tracks, chunk))
    out.write(_head(tracks, chunks, is_large))
    out.write(struct.pack(">I4sQ", 1, b"mdat", media_bytes + 16) if is_large else _header(b"mdat", media_bytes))
    for chunk in chunks:
        for sample in _samples(tracks, chunk):
            out.writelines(_bytes_of(sample, source))


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box."""
    payload = b"".join(parts)
    return _header(kind, len(payload)) + payload


def video_entry(kind: bytes, size_px: tuple[int, int], configuration: bytes, colour: tuple[int, int, int]) -> bytes:
    """A sample description of the picture.

    Args:
        kind: such as ``avc1``.
        size_px: width and height.
        configuration: the whole box with the decoder's parameters.
        colour: primaries, transfer and matrix (ISO/IEC 23091-2).
    """
    fields = struct.pack(">6xH16xHHII4xH32xHh", 1, *size_px, 0x480000, 0x480000, 1, 0x18, -1)
    square = box(b"pasp", struct.pack(">II", 1, 1))
    return box(kind, fields, configuration, box(b"colr", b"nclx", struct.pack(">HHHB", *colour, 0)), square)


def aac_entry(rate_hz: int, channels: int, configuration: bytes) -> bytes:
    """A sample description of AAC; ``configuration`` is its AudioSpecificConfig."""
    decoder = _descriptor(4, struct.pack(">BBxHII", 0x40, 0x15, 0, 0, 0), _descriptor(5, configuration))
    stream = _descriptor(3, struct.pack(">HB", 1, 0), decoder, _descriptor(6, b"\x02"))
    fields = struct.pack(">6xH8xHH4xI", 1, channels, 16, rate_hz << 16)
    return box(b"mp4a", fields, box(b"esds", bytes(4), stream))


def _descriptor(tag: int, *parts: bytes) -> bytes:
    payload = b"".join(parts)
    return bytes((tag, 0x80, 0x80, 0x80, len(payload))) + payload


def _header(kind: bytes, payload_bytes: int) -> bytes:
    return struct.pack(">I4s", payload_bytes + 8, kind)


def _full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _samples(tracks: Sequence[Track], chunk: _Chunk) -> Sequence[Sample]:
    return tracks[chunk.track].samples[chunk.first : chunk.first + chunk.count]


def _bytes_of(sample: Sample, source: BinaryIO) -> Iterator[bytes]:
    if sample.data is not None:
        yield sample.data
        return
    for piece in sample.pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from _copied(source, *piece)


def _copied(source: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    source.seek(begin)
    left = end - begin
    while left:
        data = source.read(min(left, COPY_BYTES))
        if not data:
            raise ValueError("the source ends within a frame")
        left -= len(data)
        yield data


def _chunks(tracks: Sequence[Track]) -> list[_Chunk]:
    """All stretches, in the order in which they are played."""
    timed: list[tuple[float, _Chunk]] = []
    for number, track in enumerate(tracks):
        first = 0
        while first < len(track.samples):
            entry = track.samples[first].entry
            last = min(first + track.per_chunk, len(track.samples))
            count = next((n for n in range(first, last) if track.samples[n].entry != entry), last) - first
            timed.append((first * track.sample_ticks / track.timescale, _Chunk(number, first, count, entry)))
            first += count
    return [chunk for _, chunk in sorted(timed, key=lambda each: each[0])]


def _head(tracks: Sequence[Track], chunks: Sequence[_Chunk], is_large: bool) -> bytes:
    brands = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso4avc1mp42")
    longest = max(_movie_ticks(track) for track in tracks)
    movie = _full(
        b"mvhd", struct.pack(">IIIIIH10x", 0, 0, MOVIE_TIMESCALE, longest, 0x10000, 0x100), UNITY_MATRIX, bytes(24),
        struct.pack(">I", len(tracks) + 1),
    )  # fmt: skip
    made = [
        _track(track, number + 1, [chunk for chunk in chunks if chunk.track == number], is_large)
        for number, track in enumerate(tracks)
    ]
    return brands + box(b"moov", movie, *made)


def _movie_ticks(track: Track) -> int:
    return round(track.duration_ticks * MOVIE_TIMESCALE / track.timescale)


def _track(track: Track, number: int, chunks: Sequence[_Chunk], is_large: bool) -> bytes:
    is_sound = track.handler == b"soun"
    width, height = track.size_px
    header = _full(
        b"tkhd", struct.pack(">IIIII8xhhHH", 0, 0, number, 0, _movie_ticks(track), 0, 0, 0x100 * is_sound, 0),
        UNITY_MATRIX, struct.pack(">II", width << 16, height << 16), flags=3,
    )  # fmt: skip
    media_ticks = len(track.samples) * track.sample_ticks
    media = box(
        b"mdia",
        _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, track.timescale, media_ticks, UNDETERMINED, 0)),
        _full(b"hdlr", bytes(4), track.handler, bytes(12), b"\0"),
        box(
            b"minf",
            _full(b"smhd", bytes(4)) if is_sound else _full(b"vmhd", bytes(8), flags=1),
            box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))),
            _tables(track, chunks, is_large),
        ),
    )
    edits = b""
    if track.skipped_ticks:
        edit = struct.pack(">IIiI", 1, _movie_ticks(track), track.skipped_ticks, 0x10000)
        edits = box(b"edts", _full(b"elst", edit))
    return box(b"trak", header, edits, media)


def _tables(track: Track, chunks: Sequence[_Chunk], is_large: bool) -> bytes:
    samples = track.samples
    shifts = [(1, sample.shift * track.sample_ticks) for sample in samples]
    starts = [(n + 1, c.count, c.entry) for n, c in enumerate(chunks)]
    starts = [each for n, each in enumerate(starts) if n == 0 or each[1:] != starts[n - 1][1:]]
    keys = [n + 1 for n, sample in enumerate(samples) if sample.key]
    tables = [
        _full(b"stsd", struct.pack(">I", len(track.entries)), *track.entries),
        _full(b"stts", struct.pack(">III", 1, len(samples), track.sample_ticks)),
        _full(b"stsc", struct.pack(">I", len(starts)), *(struct.pack(">III", *start) for start in starts)),
        _full(b"stsz", struct.pack(f">II{len(samples)}I", 0, len(samples), *(sample.size for sample in samples))),
    ]
    if any(shift for _, shift in shifts):
        runs = _runs(shifts)
        tables.append(_full(b"ctts", struct.pack(">I", len(runs)), *(struct.pack(">Ii", *r) for r in runs), version=1))
    if len(keys) < len(samples):
        tables.append(_full(b"stss", struct.pack(f">I{len(keys)}I", len(keys), *keys)))
    offsets = [chunk.offset for chunk in chunks]
    form, kind = ("Q", b"co64") if is_large else ("I", b"stco")
    tables.append(_full(kind, struct.pack(f">I{len(offsets)}{form}", len(offsets), *offsets)))
    return box(b"stbl", *tables)


def _runs(values: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbours of the same value as one, with how many they are."""
    runs: list[tuple[int, int]] = []
    for count, value in values:
        if runs and runs[-1][1] == value:
            runs[-1] = (runs[-1][0] + count, value)
        else:
            runs.append((count, value))
    return runs
