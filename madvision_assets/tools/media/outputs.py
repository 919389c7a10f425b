"""What is made of a clip that was cut: one function for each role of a file, and nothing else knows how.

A new file is a row of ``Role`` and a case here. Pictures in other shapes, and with captions, take more than one clip's
video: ``work.shaping`` makes them where they are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from madvision_assets.domain.captions import Cue, to_srt
from madvision_assets.domain.clips import Role
from madvision_assets.tools.media import thumbnails


@dataclass(frozen=True)
class CutClip:
    """A clip that was cut, and inspected.

    Attributes:
        path: its video.
        duration_s: as inspected, seconds.
        cues: its captions, in seconds from its start.
    """

    path: Path
    duration_s: float
    cues: Sequence[Cue]


def make(role: Role, clip: CutClip, out: Path) -> None:
    """Make the file of a role.

    Args:
        role: which.
        clip: of which clip; its video is the file of the role ``SOURCE``, and there already.
        out: the file to make.

    Raises:
        Failure: of ffmpeg, or of the disk.
    """
    match role:
        case Role.SOURCE:
            return
        case Role.CAPTIONS:
            out.write_text(to_srt(clip.cues), encoding="utf-8")
        case Role.THUMBNAIL:
            thumbnails.thumbnail(clip.path, out)
        case (
            Role.SOURCE_CAPTIONS | Role.VERTICAL | Role.VERTICAL_CAPTIONS | Role.SQUARE | Role.SQUARE_CAPTIONS
            | Role.PORTRAIT | Role.PORTRAIT_CAPTIONS
        ):  # fmt: skip
            return
        case _:
            assert_never(role)
