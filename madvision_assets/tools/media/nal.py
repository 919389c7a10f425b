"""Units of H.264 and HEVC (NAL units) and the records of decoder parameters in MP4 (ISO/IEC 14496-15)."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from madvision_assets.tools.media import mp4

LENGTH_BYTES = 4
AVC_IDR, AVC_SPS, AVC_PPS, AVC_AUD, AVC_SEI = 5, 7, 8, 9, 6
HEVC_VPS, HEVC_SPS, HEVC_PPS, HEVC_AUD, HEVC_EOS = 32, 33, 34, 35, 36
HEVC_IDR = (19, 20)
HEVC_CRA = 21
HEVC_SEI = (39, 40)
HEVC_PICTURES = 32  # types below are slices
AVC_PICTURES = (1, 2, 3, 4, 5)
NEVER_INSIDE = (
    b"\0\0\0",
    b"\0\0\1",
    b"\0\0\2",
)  # of a unit: encoders put a 3 before the last byte (ITU-T H.264, 7.4.1)
MAX_ID = 31
HIGH_PROFILES = (100, 110, 122, 144)


@dataclass(frozen=True)
class Parameters:
    """A decoder's parameters.

    Attributes:
        header: of an ``avcC``: profile, compatible profiles, level.
        sets: parameter sets by type of unit, each a whole unit.
        length_bytes: of the number before each unit.
        extension: what follows the sets in an ``avcC``.
    """

    header: bytes
    sets: tuple[bytes, ...]
    length_bytes: int
    extension: bytes = b""


def units(data: bytes, length_bytes: int = LENGTH_BYTES) -> Iterator[bytes]:
    """The units of a sample.

    Raises:
        ValueError: they do not fill it exactly, or what no encoder writes, such as a hole in the file, is in one.
    """
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + length_bytes])
        at += length_bytes
        if not 0 < length <= len(data) - at:
            raise ValueError("a frame's units do not fill it")
        unit = data[at : at + length]
        if any(never in unit.rstrip(b"\0") for never in NEVER_INSIDE):
            raise ValueError("a frame is damaged")
        yield unit
        at += length


def from_start_codes(data: bytes) -> list[bytes]:
    """The units of a byte stream, as encoders give it."""
    found = []
    at = data.find(b"\0\0\1")
    while at >= 0:
        begin = at + 3
        at = data.find(b"\0\0\1", begin)
        unit = data[begin : at if at >= 0 else len(data)].rstrip(b"\0")
        if unit:
            found.append(unit)
    return found


def with_lengths(found: Sequence[bytes]) -> bytes:
    """A sample of these units, each after its length in four bytes."""
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in found)


def avc_type(unit: bytes) -> int:
    """Type of a unit of H.264."""
    return unit[0] & 0x1F


def hevc_type(unit: bytes) -> int:
    """Type of a unit of HEVC."""
    return unit[0] >> 1 & 0x3F


def avc_parameters(record: bytes) -> Parameters:
    """What an ``avcC`` holds.

    Raises:
        ValueError: it is none.
    """
    try:
        if record[0] != 1:
            raise ValueError("no record of parameters")
        sets, at = [], 6
        for counted in (record[5] & 0x1F, None):
            count = counted if counted is not None else record[at]
            at += counted is None
            for _ in range(count):
                length = int.from_bytes(record[at : at + 2])
                sets.append(record[at + 2 : at + 2 + length])
                at += 2 + length
        if at > len(record) or not all(sets):
            raise ValueError("a record of parameters that is cut")
        return Parameters(record[1:4], tuple(sets), (record[4] & 3) + 1, record[at:])
    except IndexError as error:
        raise ValueError("a record of parameters that is cut") from error


def avc_box(header: bytes, sets: Sequence[bytes], extension: bytes) -> bytes:
    """An ``avcC`` with these parameter sets."""
    sequences = [each for each in sets if avc_type(each) == AVC_SPS]
    pictures = [each for each in sets if avc_type(each) == AVC_PPS]
    listed = [struct.pack(">H", len(each)) + each for each in (*sequences, *pictures)]
    tail = extension or (b"\xfd\xf8\xf8\x00" if header[0] in HIGH_PROFILES else b"")
    return mp4.box(
        b"avcC", b"\x01", header, bytes((0xFF, 0xE0 | len(sequences))), *listed[: len(sequences)],
        bytes((len(pictures),)), *listed[len(sequences) :], tail,
    )  # fmt: skip


def avc_ids(sets: Sequence[bytes]) -> set[int]:
    """Numbers that the parameter sets of either kind have."""
    return {_first_number(each[4:] if avc_type(each) == AVC_SPS else each[1:]) for each in sets}


def hevc_parameters(record: bytes) -> Parameters:
    """What an ``hvcC`` holds.

    Raises:
        ValueError: it is none.
    """
    try:
        if record[0] != 1:
            raise ValueError("no record of parameters")
        sets, at = [], 23
        for _ in range(record[22]):
            count = int.from_bytes(record[at + 1 : at + 3])
            at += 3
            for _ in range(count):
                length = int.from_bytes(record[at : at + 2])
                sets.append(record[at + 2 : at + 2 + length])
                at += 2 + length
        if at > len(record) or not all(sets):
            raise ValueError("a record of parameters that is cut")
        parameters = tuple(each for each in sets if hevc_type(each) in (HEVC_VPS, HEVC_SPS, HEVC_PPS))
        return Parameters(record[1:23], parameters, (record[21] & 3) + 1)
    except IndexError as error:
        raise ValueError("a record of parameters that is cut") from error


def hevc_box(sets: Sequence[bytes], bit_depth: int) -> bytes:
    """An ``hvcC`` for parameter sets of 4:2:0; profile and level are those of the first sequence's set."""
    sequence = next(each for each in sets if hevc_type(each) == HEVC_SPS)
    plain = sequence[:2] + sequence[2:].replace(b"\0\0\3", b"\0\0")
    layers = plain[2]
    depth = 0xF8 | bit_depth - 8
    ends = bytes((0xFC | 1, depth, depth)) + bytes(2)
    temporal = ((layers >> 1 & 7) + 1) << 3 | (layers & 1) << 2 | LENGTH_BYTES - 1
    arrays = []
    for kind in (HEVC_VPS, HEVC_SPS, HEVC_PPS):
        same = [each for each in sets if hevc_type(each) == kind]
        listed = b"".join(struct.pack(">H", len(each)) + each for each in same)
        arrays.append(struct.pack(">BH", 0x80 | kind, len(same)) + listed)
    head = b"\x01" + plain[3:15] + b"\xf0\x00\xfc" + ends + bytes((temporal, len(arrays)))
    return mp4.box(b"hvcC", head, *arrays)


def _first_number(data: bytes) -> int:
    """The Exp-Golomb number at the beginning (ITU-T H.264, 9.1)."""
    bits = int.from_bytes(data[:8].ljust(8, b"\0"))
    zeros = 64 - bits.bit_length()
    return (bits >> (64 - 2 * zeros - 1)) - 1 if zeros <= MAX_ID else -1
