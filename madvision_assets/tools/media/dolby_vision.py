"""Dolby Vision whose base layer is nothing else's: read in any other way, its colours come out green and purple.

Shown rightly it needs the metadata of every frame, applied by libplacebo, which wants a GPU with Vulkan. Profiles whose
base is HDR10, HLG or SDR are shown by that. What a file says of it stands in one short record (Dolby Vision Streams
Within the ISO Base Media File Format, 3.2), in MP4 as a box and in Matroska as an addition to blocks.
"""

import re

from madvision_assets.domain.failures import UnsupportedColourError

RECORDS = (b"dvcC", b"dvvC", b"dvwC")
RECORD_BYTES = 5
# Those whose base has no meaning of its own: HEVC, and AV1 where it is compatible with nothing.
ALONE = (5, 10)
MATROSKA = b"\x1a\x45\xdf\xa3"
HEAD_BYTES = 256 * 1024
# BlockAddIDType with one of the records' names, and BlockAddIDExtraData soon after it or before.
_TYPE = re.compile(b"\x41\xe7\x84(?:" + b"|".join(RECORDS) + b")")
_EXTRA = re.compile(rb"\x41\xed[\x85-\xfe](.{5})", re.DOTALL)
NEAR_BYTES = 128


def refuse_record(record: bytes) -> None:
    """The record that a track has.

    Raises:
        UnsupportedColourError: its base layer cannot be shown by itself.
    """
    if len(record) < RECORD_BYTES:
        return
    profile, compatible = record[2] >> 1, record[4] >> 4
    if profile in ALONE and not compatible:
        raise UnsupportedColourError(f"Dolby Vision, profile {profile}")


def refuse_in_matroska(head: bytes) -> None:
    """The begin of a Matroska file.

    Raises:
        UnsupportedColourError: as ``refuse_record``.
    """
    for told in _TYPE.finditer(head):
        near = head[max(0, told.start() - NEAR_BYTES) : told.end() + NEAR_BYTES]
        for extra in _EXTRA.finditer(near):
            refuse_record(extra[1])
