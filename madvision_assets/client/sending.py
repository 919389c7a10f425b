"""Sending a file by tus 1.0: begun once, and gone on with where a connection breaks."""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from madvision_assets.client.answers import Receipt, UploadStatus
from madvision_assets.client.asking import USUAL_PAUSE_S, Asking, unreachable
from madvision_assets.client.errors import ProblemError, UnreachableError

PLACE = "/public/upload"
RESUMABLE = {"Tus-Resumable": "1.0.0"}
CONTENT_TYPE = "application/offset+octet-stream"
PIECE_BYTES = 256 * 1024
TRIES_WITHOUT_A_BYTE = 5

Told = Callable[[int, int], None]


def send_file(asking: Asking, file: Path, asked: Mapping[str, Any], told: Told | None) -> Receipt:
    """Send a file; gives what it became.

    Args:
        asking: the server.
        file: what to send.
        asked: of the video, as in ``UploadRequest``.
        told: is told how many bytes have been sent, and of how many.

    Raises:
        ProblemError: it was refused.
        UnreachableError: the connection broke again and again.
        OSError: the file cannot be read.
    """
    with file.open("rb") as opened:
        size_bytes = file.stat().st_size
        place = _begin(asking, file.name, size_bytes, asked)
        offset_bytes, tries = 0, 0
        while True:
            problem = _go_on(asking, place, opened, offset_bytes, size_bytes, told)
            status = asking.get(UploadStatus, place)
            if status.submission is not None:
                return status.submission
            tries = tries + 1 if status.offset_bytes <= offset_bytes else 0
            if tries == TRIES_WITHOUT_A_BYTE:
                raise problem or UnreachableError("The server has the whole file, and gives no receipt.")
            if problem is not None:
                time.sleep(_pause_s(problem, tries))
            offset_bytes = status.offset_bytes


def _begin(asking: Asking, name: str, size_bytes: int, asked: Mapping[str, Any]) -> str:
    """The upload's place on the server, which is a secret."""
    texts = {"filename": name}
    texts |= {key: value if isinstance(value, str) else json.dumps(value) for key, value in asked.items()}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in texts.items())
    headers = {**RESUMABLE, "Upload-Length": str(size_bytes), "Upload-Metadata": metadata}
    secret = asking.ask("POST", PLACE, headers=headers).headers.get("Location", "").rpartition("/")[2]
    if not secret:
        raise UnreachableError("The server took the file and did not say where it goes.")
    return f"{PLACE}/{secret}"  # of the server that we ask, under whatever name it knows itself


def _go_on(
    asking: Asking, place: str, opened: BinaryIO, offset_bytes: int, size_bytes: int, told: Told | None
) -> "ProblemError | UnreachableError | None":
    """Send what is left; gives why that broke off, None where it did not.

    Raises:
        ProblemError: it is refused for good.
    """
    opened.seek(offset_bytes)

    def pieces() -> Iterator[bytes]:
        sent_bytes = offset_bytes
        while piece := opened.read(PIECE_BYTES):
            yield piece
            sent_bytes += len(piece)
            if told is not None:
                told(sent_bytes, size_bytes)

    left = {"Upload-Offset": str(offset_bytes), "Content-Length": str(size_bytes - offset_bytes)}
    headers = {**RESUMABLE, **left, "Content-Type": CONTENT_TYPE}
    try:
        asking.once("PATCH", place, headers=headers, content=pieces()).close()
    except ProblemError as refused:
        if not refused.is_temporary and refused.problem.status != HTTPStatus.CONFLICT:
            raise
        return refused
    except httpx.HTTPError as error:
        return unreachable(error)
    return None


def _pause_s(problem: "ProblemError | UnreachableError", tries: int) -> float:
    told = problem.retry_after_s if isinstance(problem, ProblemError) else None
    return min(told if told is not None else 0.5 * 2**tries, USUAL_PAUSE_S)
