"""What was seen in a clip: shots, and faces that are followed through them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

# A shot ends where two frames differ by so much of their grey levels' distribution, and by so many times what is usual
# around: a flash or a fast pan is no cut.
MIN_DIFFERENCE, TIMES_AROUND, AROUND_FRAMES = 0.28, 3.0, 6
MIN_SHOT_FRAMES = 5
SAME_FACE_IOU = 0.2
SAME_FACE_WIDTHS = 0.8  # between middles, where a face moved on by more than its box
LOST_AFTER_S = 1.6


@dataclass(frozen=True)
class Face:
    """A face in a frame, pixels as shown.

    Attributes:
        left: of its box.
        top: likewise.
        width: likewise.
        height: likewise.
        score: how sure the detector is, 0 to 1.
        mouth: how much more the mouth moved than the rest of the face until the next look, grey levels.
    """

    left: float
    top: float
    width: float
    height: float
    score: float = 1.0
    mouth: float = 0.0

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle."""
        return self.left + self.width / 2, self.top + self.height / 2

    @property
    def right(self) -> float:
        """Right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height


@dataclass(frozen=True)
class Look:
    """A frame in which faces were looked for.

    Attributes:
        frame: its number in the clip.
        faces: those that were found.
        moving: share of the picture that moved since the look before, faces and what is around them left out.
        stirring: the same with them.
        loudness: of the sound until the next look, root mean square, 0 to 1.
    """

    frame: int
    faces: tuple[Face, ...] = ()
    moving: float = 1.0
    stirring: float = 1.0
    loudness: float = 0.0


@dataclass(frozen=True)
class Seen:
    """What was seen in a clip.

    Attributes:
        width: of the picture as shown, pixels.
        height: likewise.
        fps: frames per second.
        frames: how many.
        cuts: the first frame of each shot but the first.
        looks: in order.
        model: of the face detector, with a hash of its weights; empty where there was none.
    """

    width: int
    height: int
    fps: float
    frames: int
    cuts: tuple[int, ...] = ()
    looks: tuple[Look, ...] = ()
    model: str = ""

    @property
    def shots(self) -> list[tuple[int, int]]:
        """First frame of each shot, and that after its last."""
        return list(pairwise([0, *self.cuts, self.frames]))


@dataclass
class Track:
    """One face in the looks of a shot, by the look's index in it."""

    faces: dict[int, Face] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The look in which it was seen last."""
        return max(self.faces)

    @property
    def height(self) -> float:
        """Its usual height (median)."""
        heights = sorted(face.height for face in self.faces.values())
        return heights[len(heights) // 2]

    def everywhere(self, looks: int) -> list[Face]:
        """The face in each look: between those in which it was seen as on a line, before and after as there."""
        known = sorted(self.faces)
        found = [self.faces[known[0]]] * known[0]
        for one, other in pairwise(known):
            found += [_between(self.faces[one], self.faces[other], at / (other - one)) for at in range(other - one)]
        return found + [self.faces[known[-1]]] * (looks - known[-1])


def cuts(differences: Sequence[float]) -> list[int]:
    """The frames that begin a shot.

    Args:
        differences: of each frame from the one before, 0 to 1; the first is of no account.
    """
    found: list[int] = []
    for frame in range(1, len(differences)):
        around = [
            *differences[max(1, frame - AROUND_FRAMES) : frame],
            *differences[frame + 1 : frame + 1 + AROUND_FRAMES],
        ]
        usual = sum(around) / len(around) if around else 0.0
        is_cut = differences[frame] > max(MIN_DIFFERENCE, TIMES_AROUND * usual)
        if is_cut and frame - (found[-1] if found else 0) >= MIN_SHOT_FRAMES:
            found.append(frame)
    return [frame for frame in found if len(differences) - frame >= MIN_SHOT_FRAMES]


def followed(looks: Sequence[Look], fps: float) -> list[Track]:
    """The faces of one shot, each through all looks in which it was found."""
    tracks: list[Track] = []
    for index, look in enumerate(looks):
        alive = [t for t in tracks if (look.frame - looks[t.last].frame) / fps <= LOST_AFTER_S]
        pairs = sorted(
            ((_likeness(track.faces[track.last], face), number, at) for number, track in enumerate(alive)
             for at, face in enumerate(look.faces)),
            reverse=True,
        )  # fmt: skip
        taken: set[int] = set()
        given: set[int] = set()
        for likeness, number, at in pairs:
            if likeness > 0 and number not in given and at not in taken:
                alive[number].faces[index] = look.faces[at]
                given.add(number)
                taken.add(at)
        tracks += [Track({index: face}) for at, face in enumerate(look.faces) if at not in taken]
    return tracks


def around(faces: Iterable[Face]) -> Face:
    """The box that holds all of these faces."""
    each = list(faces)
    left, top = min(f.left for f in each), min(f.top for f in each)
    return Face(left, top, max(f.right for f in each) - left, max(f.bottom for f in each) - top)


def _likeness(one: Face, other: Face) -> float:
    """Above 0 where both may be the same face, more the nearer they are."""
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    both = max(0.0, wide) * max(0.0, high)
    overlap = both / (one.width * one.height + other.width * other.height - both)
    apart = max(abs(a - b) for a, b in zip(one.middle, other.middle, strict=True)) / max(one.width, other.width, 1.0)
    alike = min(one.height, other.height) / max(one.height, other.height, 1.0) > 0.5  # noqa: PLR2004 - half as high
    if not alike or (overlap < SAME_FACE_IOU and apart > SAME_FACE_WIDTHS):
        return 0.0
    return 1.0 + overlap - apart / 2


def _between(one: Face, other: Face, share: float) -> Face:
    def mixed(a: float, b: float) -> float:
        return a + (b - a) * share

    return Face(
        mixed(one.left, other.left), mixed(one.top, other.top), mixed(one.width, other.width),
        mixed(one.height, other.height), min(one.score, other.score), one.mouth if share == 0 else 0.0,
    )  # fmt: skip
