"""What is seen in a clip: shots, faces and how they move; looked for in the sandboxed child (``looking``)."""

from pathlib import Path

from madvision_assets.domain.faces import Face, Look, Seen
from madvision_assets.domain.tracks import Colour
from madvision_assets.tools.media import apart


def look(path: Path) -> tuple[Seen, Colour]:
    """What is seen in a clip, and how its colours are coded; without the detector's weights no faces.

    Raises:
        CorruptMediaError: it does not decode.
        TooCostlyError: it takes more time or memory than its size can need.
        Failure: what ``container.opened`` raises.
    """
    told = apart.result_of("look", path)
    looks = tuple(
        Look(
            each["frame"],
            tuple(Face(*row) for row in each["faces"]),
            each["moving"],
            each["stirring"],
            each["loudness"],
        )
        for each in told["looks"]
    )
    seen = Seen(
        told["width"], told["height"], told["fps"], told["frames"], tuple(told["cuts"]), looks, told["model"]
    )  # fmt: skip
    return seen, Colour(**told["colour"])
