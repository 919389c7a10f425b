"""The client: a method for what a program wants of the API."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from madvision_assets.client.answers import (
    Clip,
    Deleted,
    EditableClips,
    EditAccepted,
    ListedVideo,
    Problem,
    Receipt,
    SearchResult,
    VideoList,
    VideoStatus,
    read,
)
from madvision_assets.client.asking import USUAL_PAUSE_S, Asking, unreachable
from madvision_assets.client.errors import MadVisionError, ProblemError, StillUnderWayError, UnreachableError
from madvision_assets.client.sending import send_file

TIMEOUT_S = 60.0
PATIENCE_S = 300.0
FIRST_LOOK_S, LONGEST_LOOK_S = 1.0, 15.0
RECONNECT_S = 2.0
MAX_TOKENS = 100
TOKENS_HEADER = "MadVision-Tokens"


class Client:
    """A client of one MadVision. Use it as a context, or close it.

    Every method raises ``ProblemError`` where the API refuses, with its sentence, and ``UnreachableError`` where nobody
    answers; both are ``MadVisionError``.

    Args:
        base_url: where it is.
        timeout_s: for one answer to begin, and to go on.
        patience_s: for one request with all its tries: where the API says when to ask again, it is asked again then,
            unless that is later; so is where a connection breaks, as far as nothing is done twice by it.
        transport: of httpx, for proxies or certificates of one's own.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._asking = Asking(base_url, timeout_s, patience_s, transport)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._asking.close()

    # --- submit ---

    def submit(
        self,
        url: str,
        *,
        priority: int = 0,
        callback_url: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Receipt:
        """Submit the address of a video.

        Args:
            url: of a page or file that plays it.
            priority: 0 is usual; a lower one is done later.
            callback_url: told by POST when processing ends; the receipt has the secret of the signatures then.
            options: what is asked of the clips, such as ``{"max_clips": 3, "renditions": ["vertical"]}``.
        """
        asked = {"url": url, **_of_video(priority, callback_url, options)}
        return self._asking.value(Receipt, self._asking.ask("POST", "/public/video", json=asked))

    def submit_many(self, videos: Sequence[Mapping[str, Any]]) -> list[Receipt | Problem]:
        """Submit up to 1000 videos, each ``{"url": …}`` with what else ``submit`` takes; gives what became of each."""
        response = self._asking.ask("POST", "/public/videos", json={"videos": list(videos)})
        told = self._asking.value(dict, response)
        return [read(Receipt, each) if "token" in each else read(Problem, each) for each in told["submissions"]]

    def upload(
        self,
        file: Path,
        *,
        priority: int = 0,
        callback_url: str | None = None,
        options: Mapping[str, Any] | None = None,
        told: Callable[[int, int], None] | None = None,
    ) -> Receipt:
        """Submit a file, which is sent; a connection that breaks is gone on with.

        Args:
            file: the video or sound.
            priority: as in ``submit``, as are the two that follow.
            callback_url: likewise.
            options: likewise.
            told: is told how many bytes have been sent, and of how many.

        Raises:
            OSError: it cannot be read.
        """
        return send_file(self._asking, file, _of_video(priority, callback_url, options), told)

    # --- follow ---

    def status(self, token: str) -> VideoStatus:
        """Where a video stands, and its clips once they are made."""
        return self._status(token)

    def wait(self, token: str, limit_s: float | None = None) -> VideoStatus:
        """Wait until a video is over: done, failed or parked.

        Raises:
            StillUnderWayError: it was not within ``limit_s``, or nobody could say so by then; without a limit it may
                take as long as it takes.
        """
        deadline_s = time.monotonic() + (math.inf if limit_s is None else limit_s)
        status: VideoStatus | None = None
        pause_s = FIRST_LOOK_S
        while True:
            unanswered: MadVisionError | None = None
            try:
                status = self._status(token, None if limit_s is None else max(0.0, deadline_s - time.monotonic()))
            except MadVisionError as error:
                if limit_s is None or not error.is_temporary:
                    raise
                unanswered = error
            else:
                if status.is_over:
                    return status
            left_s = deadline_s - time.monotonic()
            # A server that says when to ask again said: later than that.
            if left_s <= 0 or isinstance(unanswered, ProblemError):
                raise StillUnderWayError(status, unanswered) from unanswered
            time.sleep(min(pause_s, left_s))
            pause_s = min(1.5 * pause_s, LONGEST_LOOK_S)

    def follow(self, token: str) -> Iterator[VideoStatus]:
        """The status now and after each change, as the server sends it, until the video is over.

        A connection that breaks is made anew: what comes first then is how it stands.
        """
        while True:
            pause_s = RECONNECT_S
            try:
                for status in self._events(token):
                    yield status
                    if status.is_over:
                        return
            except httpx.HTTPError:
                pass  # it broke
            except ProblemError as refused:
                # Too many follow just now, or nobody knows the token, which ``status`` tells.
                told_s = refused.retry_after_s
                pause_s = USUAL_PAUSE_S if told_s is None else min(told_s, USUAL_PAUSE_S)
            status = self.status(token)
            if status.is_over:
                yield status
                return
            time.sleep(pause_s)

    def list_videos(
        self,
        tokens: Sequence[str],
        *,
        status: Sequence[str] = (),
        host: str | None = None,
        title: str | None = None,
    ) -> VideoList:
        """The videos of any number of tokens, asked for by the hundred.

        Args:
            tokens: of the submissions.
            status: only those in one of these states.
            host: only those that come from there.
            title: only those whose title has each of these words in it.
        """
        videos: list[ListedVideo] = []
        unknown: list[str] = []
        asked = {"status": list(status), **_given(host=host, title=title)}
        for start in range(0, len(tokens), MAX_TOKENS):
            headers = _listed(tokens[start : start + MAX_TOKENS])
            found = self._asking.get(VideoList, "/public/videos", params=asked, headers=headers)
            videos += found.videos
            unknown += found.unknown
        return VideoList(videos, unknown)

    def search(self, tokens: Sequence[str], q: str, *, limit: int = 20, before: int | None = None) -> SearchResult:
        """Moments in which something is said, in the videos of up to 100 tokens.

        Args:
            tokens: of the submissions.
            q: words, all of them; phrases in quotes.
            limit: at most so many.
            before: ``next_before`` of the last answer, for more.
        """
        asked = {"q": q, "limit": limit, **_given(before=before)}
        return self._asking.get(SearchResult, "/public/search", params=asked, headers=_listed(tokens))

    def delete(self, token: str) -> Deleted:
        """Delete a video, whatever state it is in: work on it ends. What others submitted too stays for them."""
        response = self._asking.ask("DELETE", "/public/video", headers=_bearer(token))
        return self._asking.value(Deleted, response)

    # --- take ---

    def download(self, clip: Clip, folder: Path, role: str = "source") -> Path:
        """Save a file of a clip; gives its path.

        Args:
            clip: of a status.
            folder: where to; it is made where it is missing.
            role: which of ``clip.files``: ``source`` is the video, ``captions`` its subtitles, ``thumbnail`` a picture.

        Raises:
            MadVisionError: the clip has no such file.
            OSError: it cannot be written.
        """
        address = clip.files.get(role)
        if address is None:
            raise MadVisionError(f"{clip.clip_id} has no file {role!r}, but {', '.join(sorted(clip.files))}.")
        return self._save(address, folder / _name_of(address))

    def package(self, token: str, file: Path) -> Path:
        """Save every file of every clip, and the timelines, as a ZIP."""
        return self._save(f"/video/{quote(token)}/package.zip", file)

    def clip_file(self, token: str, name: str) -> bytes:
        """A small file of a clip, by its name: ``CLIP_ID.vtt``, ``.words.json``, ``.facts.json`` and so on."""
        return self._asking.ask("GET", f"/video/{quote(token)}/clips/{quote(name)}").content

    def timeline(self, token: str, form: str = "otio") -> bytes:
        """The clips as an edit of the source: ``otio``, ``fcpxml``, ``xml`` (Premiere) or ``edl``."""
        return self._asking.ask("GET", f"/video/{quote(token)}/timeline.{quote(form)}").content

    def transcript(self, token: str, form: str = "txt") -> str:
        """What is said: ``txt``, ``srt``, ``vtt``, or ``json`` with each word's times."""
        return self._asking.ask("GET", f"/video/{quote(token)}/transcript.{quote(form)}").content.decode()

    # --- change ---

    def editable(self, token: str) -> EditableClips:
        """What can be changed of a video's clips: they themselves, and every word with its times."""
        return self._asking.get(EditableClips, "/public/video/clips", headers=_bearer(token))

    def edit(
        self, token: str, version: str, edits: Sequence[Mapping[str, Any]], *, dry_run: bool = False
    ) -> EditAccepted:
        """Trim, retitle, drop and add clips, and choose shapes and captions of all; all edits are made, or none.

        Args:
            token: of the video's first submission.
            version: of the clips as they were looked at, by ``editable``.
            edits: such as ``{"change": "trim", "clip": 2, "start_s": 62.5}``, ``{"change": "drop", "clip": 3}`` and
                ``{"change": "pictures", "renditions": ["vertical"], "captions": "bold"}``.
            dry_run: change nothing, and say what would come of it.
        """
        asked = {"version": version, "edits": list(edits), "dry_run": dry_run}
        response = self._asking.ask("PATCH", "/public/video/clips", json=asked, headers=_bearer(token))
        return self._asking.value(EditAccepted, response)

    # --- details ---

    def _status(self, token: str, within_s: float | None = None) -> VideoStatus:
        return self._asking.get(VideoStatus, "/public/video/status", within_s=within_s, headers=_bearer(token))

    def _events(self, token: str) -> Iterator[VideoStatus]:
        response = self._asking.once("GET", f"/video/{quote(token)}/events")
        try:
            for line in response.iter_lines():
                if line.startswith("data:"):
                    yield read(VideoStatus, json.loads(line.removeprefix("data:")))
        except ValueError as error:
            raise UnreachableError(f"What is sent is none of MadVision's events: {error}") from error
        finally:
            response.close()

    def _save(self, address: str, file: Path) -> Path:
        """Whole, or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        try:
            with self._asking.stream("GET", address) as response, part.open("wb") as saved:
                for piece in response.iter_bytes():
                    saved.write(piece)
            part.replace(file)
        except httpx.HTTPError as error:
            raise unreachable(error) from error
        finally:
            part.unlink(missing_ok=True)
        return file


def _of_video(priority: int, callback_url: str | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
    told = _given(callback_url=callback_url, options=None if options is None else dict(options))
    return {"priority": priority, **told} if priority else told


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _listed(tokens: Sequence[str]) -> dict[str, str]:
    return {TOKENS_HEADER: ",".join(tokens)}


def _name_of(address: str) -> str:
    """The last part of an address, which is the file's name.

    Raises:
        UnreachableError: it is none.
    """
    name = Path(urlsplit(address).path).name
    if name in {"", ".."}:
        raise UnreachableError("The server gave an address without a file's name.")
    return name
