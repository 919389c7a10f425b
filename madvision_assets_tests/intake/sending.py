"""Sending files to an intake: by tuspy, a client of the tus project, and by hand where it would not do what we want."""

import base64
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import httpx
from sqlalchemy import update
from tusclient.client import TusClient
from tusclient.uploader.uploader import Uploader

from madvision_assets.domain.received import BLOCK_BYTES, FOLDER
from madvision_assets.intake.uploads.receiving import hash_of
from madvision_assets.tools.database.tables import uploads
from madvision_assets_tests.intake.serving import WAIT_S, Intake

VERSION = {"Tus-Resumable": "1.0.0"}
PATCH = {**VERSION, "Content-Type": "application/offset+octet-stream"}
UPLOAD = "/public/upload"


def some_bytes(blocks: float) -> bytes:
    """So many blocks of what nobody else has."""
    return os.urandom(int(blocks * BLOCK_BYTES))


def uploader(intake: Intake, data: bytes, **told: Any) -> Uploader:
    """tuspy, about to send a file or to go on with one."""
    client = TusClient(f"http://127.0.0.1:{intake.port}{UPLOAD}")
    metadata = {"filename": "talk.mp4", **told.pop("metadata", {})}
    return client.uploader(file_stream=BytesIO(data), metadata=metadata, retry_delay=0, **told)


def receipt_of(sent: Uploader) -> dict[str, str]:
    """What the last answer said of the video."""
    last: Any = sent.request
    found: Mapping[str, str] = last.response_headers
    return {name.removeprefix("madvision-"): value for name, value in found.items() if name.startswith("madvision-")}


def begin(intake: Intake, size_bytes: int, **metadata: str) -> str:
    """Begin an upload; gives its path."""
    answer = asked_for(intake, size_bytes, **metadata)
    assert answer.status_code == 201, answer.text
    return httpx.URL(answer.headers["Location"]).path


def asked_for(intake: Intake, size_bytes: int, **metadata: str) -> httpx.Response:
    """The answer to who wants to begin an upload."""
    pairs = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())
    headers = {**VERSION, "Upload-Length": str(size_bytes), "Upload-Metadata": pairs}
    return intake.client.post(UPLOAD, headers=headers)


def patched(intake: Intake, path: str, offset_bytes: int, data: bytes, **headers: str) -> httpx.Response:
    """The answer to who sends bytes."""
    return intake.client.patch(path, content=data, headers={**PATCH, "Upload-Offset": str(offset_bytes), **headers})


def offset_of(intake: Intake, path: str) -> int:
    """How much has come."""
    answer = intake.client.head(path, headers=VERSION)
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


@contextmanager
def half_sent(intake: Intake, path: str, offset_bytes: int, announced: int, data: bytes) -> Iterator[socket.socket]:
    """A PATCH of which only a part has been sent."""
    head = {**PATCH, "Upload-Offset": str(offset_bytes), "Content-Length": str(announced), "Host": "localhost"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    with socket.create_connection(("127.0.0.1", intake.port), timeout=WAIT_S) as connection:
        connection.sendall(f"PATCH {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
        yield connection


def status_in(connection: socket.socket) -> int:
    """The status of an answer."""
    said = b""
    while b"\r\n" not in said:
        piece = connection.recv(1000)
        assert piece, "no answer"
        said += piece
    found = re.match(rb"HTTP/1.1 (\d+)", said)
    assert found
    return int(found[1])


def kept(intake: Intake) -> dict[str, int]:
    """What of files lies in the store, each object with its size."""
    return dict(intake.services.store.list_sizes(FOLDER))


def change_row(intake: Intake, path: str, **change: Any) -> None:
    """Change what is written down of an upload."""
    mine = uploads.c.secret_hash == hash_of(path.rpartition("/")[2])
    with intake.services.database.writing() as connection:
        connection.execute(update(uploads).where(mine).values(**change))
