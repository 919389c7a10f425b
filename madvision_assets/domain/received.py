"""A file that was sent to us: where it lies, and the ID that its bytes make.

It is kept in blocks. The ID comes from a chain over the blocks' hashes, which goes on after a cut from what is kept of
it, and needs no second reading of the whole.
"""

import hashlib
import re
from typing import Annotated, Self
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit, urlunsplit

from pydantic import Field

from madvision_assets.domain.failures import InvalidAddressError
from madvision_assets.domain.provenance import Value

SCHEME = "received"
FOLDER = "incoming"  # in the store
# Part of what the ID is made of: with another size the same file would be another video.
BLOCK_BYTES = 4 * 1024 * 1024
NO_CHAIN = ""
ID_HASH_HEX_DIGITS = 32
MAX_NAME_CHARS = 200
_PLACE = r"[0-9a-f]{32}"


class ReceivedFile(Value):
    """A whole file in the store.

    Attributes:
        place: the folder of its blocks.
        size_bytes: of all blocks.
        name: that its sender gave it; may be empty.
    """

    place: Annotated[str, Field(pattern=f"^{_PLACE}$")]
    size_bytes: Annotated[int, Field(gt=0)]
    name: str = ""

    @property
    def address(self) -> str:
        """``received://PLACE/NAME?size=BYTES``."""
        query = urlencode({"size": self.size_bytes})
        return urlunsplit((SCHEME, self.place, f"/{quote(self.name, safe='')}", query, ""))

    @classmethod
    def of(cls, address: str) -> Self:
        """The file with an address that ``address`` gave.

        Raises:
            InvalidAddressError: it is none.
        """
        parts = urlsplit(address)
        (size,) = parse_qs(parts.query).get("size", ["0"])
        if parts.scheme != SCHEME or not re.fullmatch(_PLACE, parts.netloc) or not size.isdecimal():
            raise InvalidAddressError("it names no file that was sent to us")
        return cls(place=parts.netloc, size_bytes=int(size), name=unquote(parts.path.removeprefix("/")))


def chained(chain: str, block: bytes) -> str:
    """The chain with one more block, hex; it begins with ``NO_CHAIN``.

    Args:
        chain: over all blocks before.
        block: of ``BLOCK_BYTES``, but for the last one.
    """
    return hashlib.sha256(bytes.fromhex(chain) + hashlib.sha256(block).digest()).hexdigest()


def received_video_id(chain: str) -> str:
    """ID of the video with these bytes.

    Args:
        chain: over all its blocks.
    """
    return f"upload-{chain[:ID_HASH_HEX_DIGITS]}"


def plain_name(name: str) -> str:
    """What is kept of a file's name: without folders and what does not print."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(each for each in last if each.isprintable())[:MAX_NAME_CHARS].strip()
