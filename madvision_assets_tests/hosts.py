"""Some real hosts on loopback with good, slow, broken and rate-limited videos, and what is to become of each.

Each port is a host of its own to the queue.
"""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.video import Options, cut_id, web_video_id
from madvision_assets_tests import footage
from madvision_assets_tests.site import Site

MP4, HTML = "video/mp4", "text/html"
RETRY_AFTER_S = 3
SHORT_CLIPS = {"min_clip_s": 1, "max_clip_s": 5}
METADATA_SERVICE = "http://169.254.169.254/latest/meta-data"
# Refused at the door, by the code of the problem.
AT_THE_DOOR = {
    "ftp://example.org/talk.mp4": "invalid_address",
    "talk.mp4": "invalid_address",
    "http://me:secret@example.org/talk.mp4": "invalid_address",
    f"{METADATA_SERVICE}/talk.mp4": "refused_address",
    "http://0xA9FEA9FE/talk.mp4": "refused_address",
    "http:///talk.mp4": "invalid_address",
}


@dataclass(frozen=True, eq=False)
class Case:
    """A video and what is to become of it.

    Attributes:
        kind: of video, or of trouble.
        address: in its canonical spelling.
        site: where it is; None where there is none.
        status: in the end.
        cause: of its failure.
        outcome: how it ends well.
        options: what is asked of its clips.
        downloads: how often its bytes are sent whole.
        retries: used up by failures of its own; None where it depends on others, by the breaker of their host.
        starts: attempts; None likewise.
    """

    kind: str
    address: str
    site: Site | None
    status: QueueStatus = QueueStatus.FAILED
    cause: str | None = None
    outcome: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    downloads: int = 0
    retries: int | None = 0
    starts: int | None = 1

    @property
    def path(self) -> str:
        """Of its address."""
        return urlsplit(self.address).path

    @property
    def video_id(self) -> str:
        """Of the partition that it is given."""
        return cut_id(web_video_id(self.address), Options.model_validate(self.options))

    def asked(self, rng: random.Random) -> dict[str, Any]:
        """A submission of it, in one of the spellings that its address may have."""
        body: dict[str, Any] = {"url": spelled(self.address, rng), "priority": -rng.randrange(5)}
        return {**body, "options": self.options} if self.options else body


def spelled(address: str, rng: random.Random) -> str:
    """The address as somebody else would write it."""
    parts = urlsplit(address)
    query = rng.choice(["", "?utm_source=mail&utm_campaign=7", "?fbclid=abc", "?gclid=x#t=30"])
    host = f"{parts.hostname}{rng.choice(['', '.'])}:{parts.port}"
    begin, end = rng.choice([("", ""), (" ", "\n"), ("", "#chapter-2")]) if not query else ("", "")
    return f"{begin}{rng.choice(['http', 'HTTP', 'Http'])}://{host}{parts.path}{query}{end}"


class Hosts:
    """The hosts, and the cases that they hold.

    Args:
        folder: where the files are made.
        sites: running.
        nobody: a host that takes no connections.
        max_retries: how often a video may be tried again for its own failures.
    """

    def __init__(self, folder: Path, sites: list[Site], nobody: str, max_retries: int) -> None:
        self.cases: list[Case] = []
        self._folder = folder
        self._talk = footage.talking(folder / "talk.mp4", 3.0)
        self._good = self._talk.read_bytes()
        *plain, flaky, limited, dead, half_dead = sites
        for n in range(20):
            self._add_good("good", plain[n % len(plain)])
        for n in range(6):
            self._add_good("clips", plain[n % len(plain)], outcome="clips", options=SHORT_CLIPS)
        for site in plain:
            self._add_good("slow", site, bytes_per_s=len(self._good))
            # Of the two answers that a download takes: the look at it, and the file.
            self._add_good("cut once", site, cut_after_bytes=len(self._good) // 2, cuts=2)
            self._add_redirect(site)
            self._add_permanent(site)
        for _ in range(6):
            case = self._add_good("fails once", flaky, retries=None, starts=None)
            flaky.fail_first(1, HTTPStatus.INTERNAL_SERVER_ERROR, path=case.path)
        for _ in range(8):
            self._add_good("rate-limited", limited, starts=None)
        limited.fail_first(3, HTTPStatus.TOO_MANY_REQUESTS, Retry_After=str(RETRY_AFTER_S))
        given_up: dict[str, Any] = {"retries": max_retries, "starts": max_retries + 1}
        for site, status in ((dead, HTTPStatus.INTERNAL_SERVER_ERROR), (half_dead, HTTPStatus.SERVICE_UNAVAILABLE)):
            self._add(f"{status:d} always", site.fail("/never.mp4", status), site, "source_server_error", **given_up)
            self._add_good("beside a dead one", site)
        self._add("nobody listens", f"{nobody}/talk.mp4", None, "connection_lost", **given_up)

    def _add(self, kind: str, address: str, site: Site | None, cause: str | None, **more: Any) -> Case:
        case = Case(kind, address, site, cause=cause, **more)
        self.cases.append(case)
        return case

    def _add_good(
        self, kind: str, site: Site, *, outcome: str = "too_short", options: dict[str, Any] | None = None,
        retries: int | None = 0, starts: int | None = 1, **page: Any,
    ) -> Case:  # fmt: skip
        unlike_others = self._good + footage.free_box(str(len(self.cases)))
        address = site.serve(f"/{len(self.cases)}.mp4", unlike_others, content_type=MP4, **page)
        return self._add(
            kind, address, site, None, status=QueueStatus.DONE, outcome=outcome, options=options or {},
            downloads=1, retries=retries, starts=starts,
        )  # fmt: skip

    def _add_redirect(self, site: Site) -> None:
        hidden = site.serve(f"/hidden/{len(self.cases)}.mp4", self._good, content_type=MP4)
        address = site.redirect(f"/from/{len(self.cases)}", hidden)
        self._add("redirect", address, site, None, status=QueueStatus.DONE, outcome="too_short")

    def _add_permanent(self, site: Site) -> None:
        """One of each kind that is refused at once."""
        made = self._folder / "made.mp4"
        for kind, maker, cause in (
            ("no video at all", footage.text, "not_media"),
            ("empty", footage.empty, "empty_file"),
            ("no sound", lambda out: footage.mute(out, self._talk), "no_audio_track"),
            ("index missing", lambda out: footage.truncated_index(out, self._talk), "corrupt_media"),
            ("zeros", lambda out: footage.garbled(out, self._talk), "corrupt_media"),
        ):
            address = site.serve(f"/{len(self.cases)}.mp4", maker(made).read_bytes(), content_type=MP4)
            self._add(kind, address, site, cause)
        sound = footage.audio_only(self._folder / "sound.mp3").read_bytes()
        self._add("no picture", site.serve("/sound.mp3", sound, content_type="audio/mpeg"), site, "no_video_track")
        self._add("page without a video", site.html("/page"), site, "unsupported_address")
        self._add("playlist", site.html("/list", videos=["/a.mp4", "/b.mp4"]), site, "playlist")
        self._add("not there", site.url("/nothing.mp4"), site, "not_found")
        self._add("gone", site.fail("/gone.mp4", HTTPStatus.GONE), site, "not_found")
        self._add("forbidden", site.fail("/forbidden.mp4", HTTPStatus.FORBIDDEN), site, "access_denied")
        self._add("redirect into the cloud", site.redirect("/inside", METADATA_SERVICE), site, "refused_address")


@contextmanager
def open_hosts(folder: Path, max_retries: int) -> Iterator[Hosts]:
    """Three plain hosts and four troubled ones, serving until the end of the block."""
    with ExitStack() as stack:
        sites = [stack.enter_context(Site()) for _ in range(7)]
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))  # and never listens
        yield Hosts(folder, sites, f"http://127.0.0.1:{nobody.getsockname()[1]}", max_retries)
