"""Which characters a font file has; https://learn.microsoft.com/typography/opentype/spec/cmap."""

import struct
from functools import lru_cache
from pathlib import Path

# Forms of the table: by segments of 16 bits, and by groups of 32.
_SEGMENTS, _GROUPS = 4, 12


@lru_cache(maxsize=64)
def characters_of(path: Path) -> frozenset[int]:
    """The code points that an OpenType font has glyphs for.

    Raises:
        OSError: the file cannot be read.
        struct.error: it is no font.
    """
    data = _table(path, b"cmap")
    (count,) = struct.unpack_from(">H", data, 2)
    found: set[int] = set()
    for index in range(count):
        (at,) = struct.unpack_from(">I", data, 8 + 8 * index)
        (form,) = struct.unpack_from(">H", data, at)
        if form == _GROUPS:
            (groups,) = struct.unpack_from(">I", data, at + 12)
            for first, last, _ in struct.iter_unpack(">III", data[at + 16 : at + 16 + 12 * groups]):
                found.update(range(first, last + 1))
        elif form == _SEGMENTS:
            (twice,) = struct.unpack_from(">H", data, at + 6)
            ends = struct.unpack_from(f">{twice // 2}H", data, at + 14)
            starts = struct.unpack_from(f">{twice // 2}H", data, at + 16 + twice)
            for first, last in zip(starts, ends, strict=True):
                found.update(range(first, last + 1))
    return frozenset(found)


def _table(path: Path, name: bytes) -> bytes:
    """One table of a font; the largest fonts are not read whole."""
    with path.open("rb") as file:
        (count,) = struct.unpack(">4xH6x", file.read(12))
        for tag, offset, length in struct.iter_unpack(">4s4xII", file.read(16 * count)):
            if tag == name:
                file.seek(offset)
                return file.read(length)
    return b"\0" * 4
