"""The videos of a campaign: what each kind is served as, and how it must end, whatever breaks meanwhile."""

from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path

from madvision_assets.domain.video import Options, cut_id, web_video_id
from madvision_assets_tests import footage
from madvision_assets_tests.chaos.plan import Video
from madvision_assets_tests.chaos.points import DOMAIN
from madvision_assets_tests.site import Site
from madvision_assets_tests.whole_system import short_talk

MP4 = "video/mp4"
SLOW_S, USUAL_S = 8.0, 1.5
RETRY_AFTER_S = 3
# Short, so that a campaign has many of them, and yet with something to cut.
TALK_S = 12.0
TOO_SHORT_S = 5.0  # a clip needs 10
OPTIONS = {"min_clip_s": 2, "max_clip_s": 8}


@dataclass(frozen=True)
class End:
    """How a video must end."""

    status: str
    cause: str | None = None
    outcome: str | None = None


ENDS = {
    "good": End("done", outcome="clips"),
    "by name": End("done", outcome="clips"),
    "slow": End("done", outcome="clips"),
    "cut twice": End("done", outcome="clips"),
    "throttled": End("done", outcome="clips"),
    "dead": End("failed", "not_found"),
    "no video": End("failed", "not_media"),
    "truncated": End("failed", "corrupt_media"),
    "too short": End("done", outcome="too_short"),
    "no speech": End("done", outcome="no_speech"),
}


@dataclass(frozen=True)
class Served:
    """A video where it is served.

    Attributes:
        address: as it is submitted.
        path: on its site.
        size_bytes: of the whole; 0 where there is nothing.
        end: how it must end.
    """

    video: Video
    address: str
    path: str
    size_bytes: int
    end: End

    @property
    def video_id(self) -> str:
        """What the system calls it."""
        own = web_video_id(self.address)
        return cut_id(own, Options.model_validate(OPTIONS)) if self.end.outcome == "clips" else own


class Films:
    """The films, made once.

    Args:
        folder: where they are made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def talk(self) -> bytes:
        """Something to be cut."""
        return short_talk(self._folder, TALK_S)

    def of(self, kind: str) -> bytes:
        """What a kind is served as."""
        made = self._folder / f"{kind}.mp4"
        match kind:
            case "dead":
                return b""
            case "no video":
                return footage.text(made).read_bytes()
            case "truncated":
                whole = self._folder / "whole.mp4"
                whole.write_bytes(self.talk)
                return footage.truncated_index(made, whole).read_bytes()
            case "too short":
                return short_talk(self._folder, TOO_SHORT_S)
            case "no speech":
                return footage.silence(made, 20.0).read_bytes()
            case _:
                return self.talk


def serve(video: Video, site: Site, films: Films, number: int) -> Served:
    """Put a video on the site; where it is called by name, by one that only our processes can resolve."""
    path = f"/{video.name}.mp4"
    body = films.of(video.kind)
    if video.kind not in {"dead", "no video", "truncated"}:
        body += footage.free_box(f"{number:04}")
    cuts = {"cut_after_bytes": len(body) // 2, "cuts": 2} if video.kind == "cut twice" else {}
    if video.kind == "dead":
        address = site.fail(path, HTTPStatus.NOT_FOUND)
    else:
        bytes_per_s = int(len(body) / (SLOW_S if video.kind == "slow" else USUAL_S))
        address = site.serve(path, body, content_type=MP4, bytes_per_s=bytes_per_s, **cuts)
    if video.kind == "throttled":
        site.fail_first(2, HTTPStatus.TOO_MANY_REQUESTS, path=path, Retry_After=str(RETRY_AFTER_S))
    if video.kind == "by name":
        address = address.replace("127.0.0.1", f"talks{DOMAIN}")
    return Served(video, address, path, len(body) if video.kind != "dead" else 0, ENDS[video.kind])
