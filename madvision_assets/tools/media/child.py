"""The process that parses foreign media: ``python -m madvision_assets.tools.media.child FD``, see ``apart``."""

import base64
import io
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any, BinaryIO

from madvision_assets.domain.failures import CorruptMediaError, Failure, TooCostlyError
from madvision_assets.tools.media import audio, container, inspection, key_frames, looking, probe, smart, thumbnails
from madvision_assets.tools.media.apart import ANSWER, ASK

READ_BYTES = 1024 * 1024
ORDER_BYTES = 64 * 1024
# What numbers and names that make no sense come to in Python.
STUMBLES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

# Each takes the stream and the job's options and gives what JSON can hold, or blocks of bytes.
JOBS: dict[str, Callable[..., Any]] = {
    "probe": probe.measured,
    "verify": probe.verified,
    "layout": container.layout,
    "inspect": inspection.decoded_whole,
    "thumbnail": thumbnails.best_picture,
    "stretches": key_frames.stretches,
    "smart": smart.cut,
    "sound": audio.decoded,
    "look": looking.looked_at,
    "packets": looking.packets,
}


class Asked(io.RawIOBase):
    """A stream whose bytes the parent has."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self._pipe = os.fdopen(fd, "r+b", buffering=0)
        self._size_bytes = size_bytes
        self._at: int = 0

    def close(self) -> None:  # noqa: D102
        self._pipe.close()
        super().close()

    def readable(self) -> bool:  # noqa: D102 - as in io
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def tell(self) -> int:  # noqa: D102
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:  # noqa: D102
        begin: dict[int, int] = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size_bytes}
        self._at = max(0, offset + begin[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: D102
        self._pipe.write(ASK.pack(self._at, len(buffer)))
        (length,) = ANSWER.unpack(self._exactly(ANSWER.size))
        buffer[:length] = self._exactly(length)
        self._at += int(length)
        return int(length)

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self._pipe.read(length - len(data))
            if not more:
                raise OSError("the parent is gone")
            data += more
        return data


def main() -> None:
    """Does the jobs that come through the socket with the number of its argument, until the parent closes it."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, int(sys.argv[1])) as orders:
        while True:
            data, fds, _, _ = socket.recv_fds(orders, ORDER_BYTES, 2)
            if not data:
                return
            with ExitStack() as held:
                stream = held.enter_context(closing(_stream(order := json.loads(data), fds[0])))
                for fd in fds[1:]:
                    order["options"]["beside"] = held.enter_context(os.fdopen(fd, "r+b"))
                for message in _answers(order, stream):
                    out.write(json.dumps(message) + "\n")
                    out.flush()


def _answers(order: dict[str, Any], stream: BinaryIO) -> Iterator[dict[str, Any]]:
    try:
        made = JOBS[order["job"]](stream, **order["options"])
        if isinstance(made, Iterator):
            for block in made:
                yield {"block": base64.b64encode(block).decode()}
            made = None
        yield {"result": made}
    except Failure as failure:
        yield {"failure": failure.code, "details": failure.details}
    except MemoryError:
        yield {"failure": TooCostlyError.code, "details": "it takes more memory than it may have"}
    except STUMBLES as error:  # the same bytes would make it stumble again
        details = f"reading it ({order['job']}) ended with {type(error).__name__}: {error}"
        yield {"failure": CorruptMediaError.code, "details": details}


def _stream(order: dict[str, Any], fd: int) -> BinaryIO:
    if "size" not in order:
        return os.fdopen(fd, "rb")
    return io.BufferedReader(Asked(fd, order["size"]), READ_BYTES)


if __name__ == "__main__":
    main()
