"""Reframing: from what was seen in a clip to what of it a picture of another shape shows, shot by shot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from madvision_assets.domain.crop_path import crop_path
from madvision_assets.domain.faces import Face, Look, Seen, Track, around, followed
from madvision_assets.domain.framing import Framing, Layout, Scene, Tile
from madvision_assets.domain.phrases import Box
from madvision_assets.domain.renditions import SAME_SHAPE, Shape, crop_size, even, finished_size

# A face counts that is seen in so much of its shot, and not much smaller than the largest there.
SEEN_SHARE, OF_LARGEST = 0.3, 0.45
FREE_AROUND_FACE = 0.12  # of its size, to each side: a box of a detector is tight
DEAD_ZONE = 0.15  # of the cut-out's side, to each side of its middle: a face that moves in it is not followed
# Nothing moves: a slide, a still. Nothing but a small face in a corner does: a screen with its speaker beside.
STILL, STILL_BESIDE = 0.004, 0.01
INSET_HEIGHT, INSET_CORNER = 0.22, 0.28
# A turn to speak: so sure, and a change of it is worth so much more of being sure, in looks.
SURE_OF_SPEAKER, CHANGE_OF_SPEAKER = 0.25, 2.5
SILENCE, LEAST_MOUTH = 0.004, 0.8  # of the sound, root mean square; of all mouths together, grey levels
SPLIT_FACE = 0.36  # height of a face in a half of a split picture
MAX_STRETCHES = 24  # with more, one after the other, nobody can look
LEAST_FIT_S = 1.0


@dataclass(frozen=True)
class _Frame:
    """What the framing of each shot needs to know."""

    seen: Seen
    shape: Shape
    crop: tuple[int, int]

    @property
    def is_across(self) -> bool:
        return self.crop[0] < self.seen.width

    @property
    def free(self) -> tuple[int, int]:
        """Length of the picture and of the cut-out along the free side."""
        return (self.seen.width, self.crop[0]) if self.is_across else (self.seen.height, self.crop[1])

    def extent(self, face: Face) -> tuple[float, float]:
        """Begin and end of a face along the free side, with some air."""
        begin, length = (face.left, face.width) if self.is_across else (face.top, face.height)
        return begin - length * FREE_AROUND_FACE, begin + length * (1 + FREE_AROUND_FACE)


def framing(seen: Seen, shape: Shape) -> Framing:
    """The framing of a clip in a shape.

    A shot follows its face; of several those that fit in the picture together, else whoever speaks, by the movement of
    mouths while there is sound; else two stand one above the other, and more are shown as a whole picture. A shot
    without a face, and one in which nothing moves, is shown whole.
    """
    crop = crop_size(shape, seen.width, seen.height)
    frame = _Frame(seen, shape, crop)
    if abs(crop[0] / crop[1] / (seen.width / seen.height) - 1) <= SAME_SHAPE:
        scenes = [Scene(first_frame=0, layout=Layout.CROP, path=((0, 0.0),))]
    else:
        scenes = [scene for first, end in seen.shots for scene in _scenes(frame, first, end)]
    made = _made(frame, scenes)
    if sum(1 for _ in made.stretches()) > MAX_STRETCHES:
        made = _made(
            frame, [scene if scene.layout is Layout.CROP else _middle(frame, scene.first_frame) for scene in scenes]
        )
    return made


def faces_shown(seen: Seen, framed: Framing) -> Callable[[float, float], list[Box]]:
    """Says which faces are seen from one time to another, in seconds, and where they stand in the finished picture."""

    def shown(start_s: float, end_s: float) -> list[Box]:
        first, end = start_s * seen.fps, end_s * seen.fps
        before = max((look.frame for look in seen.looks if look.frame <= first), default=0)
        looks = (look for look in seen.looks if before <= look.frame < end)
        return [framed.shown(face, look.frame) for look in looks for face in look.faces]

    return shown


def _made(frame: _Frame, scenes: Sequence[Scene]) -> Framing:
    seen, finished = frame.seen, finished_size(frame.shape, frame.seen.width, frame.seen.height)
    return Framing(
        width=seen.width, height=seen.height, frames=seen.frames, crop_width=frame.crop[0], crop_height=frame.crop[1],
        finished_width=finished[0], finished_height=finished[1], scenes=tuple(scenes), detector=seen.model,
    )  # fmt: skip


def _middle(frame: _Frame, first: int) -> Scene:
    length, crop = frame.free
    return Scene(first_frame=first, layout=Layout.CROP, path=((first, float((length - crop) // 2)),))


def _scenes(frame: _Frame, first: int, end: int) -> list[Scene]:
    """Those of one shot."""
    looks = [look for look in frame.seen.looks if first <= look.frame < end]
    tracks = _subjects(looks, frame.seen)
    if not tracks or _is_still(looks) or _is_inset(looks, tracks, frame.seen):
        short = (end - first) / frame.seen.fps < LEAST_FIT_S
        return [_middle(frame, first) if short and frame.seen.cuts else Scene(first_frame=first, layout=Layout.FIT)]
    faces = [track.everywhere(len(looks)) for track in tracks]
    together = [around(each) for each in zip(*faces, strict=True)]
    if len(tracks) == 1 or _fits(frame, together):
        return [_following(frame, looks, together, first, end)]
    turns = _turns(looks, tracks)
    if turns is not None:
        return _by_turns(frame, looks, faces, turns, (first, end))
    if len(tracks) == 2:  # noqa: PLR2004 - one above the other
        return [_split(frame, tracks, first)]
    return [Scene(first_frame=first, layout=Layout.FIT)]


def _subjects(looks: Sequence[Look], seen: Seen) -> list[Track]:
    """The faces of a shot that count, from left to right."""
    tracks = [track for track in followed(looks, seen.fps) if len(track.faces) >= max(1, SEEN_SHARE * len(looks))]
    largest = max((track.height for track in tracks), default=0.0)
    counting = [track for track in tracks if track.height >= OF_LARGEST * largest]
    return sorted(counting, key=lambda track: track.faces[track.last].middle)


def _is_still(looks: Sequence[Look]) -> bool:
    return len(looks) > 1 and _usual([look.stirring for look in looks[1:]]) < STILL


def _is_inset(looks: Sequence[Look], tracks: Sequence[Track], seen: Seen) -> bool:
    """Whether nothing moves but a small face in a corner: a talk over slides, or a screen with its user."""
    if len(tracks) > 1 or len(looks) < 2:  # noqa: PLR2004 - the first look has none before it
        return False
    face = tracks[0].faces[tracks[0].last]
    across, down = face.middle[0] / seen.width, face.middle[1] / seen.height
    in_corner = min(across, 1 - across) < INSET_CORNER and min(down, 1 - down) < INSET_CORNER
    beside = _usual([look.moving for look in looks[1:]])
    return in_corner and tracks[0].height < INSET_HEIGHT * seen.height and beside < STILL_BESIDE


def _usual(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _fits(frame: _Frame, faces: Sequence[Face]) -> bool:
    crop = frame.free[1]
    fitting = sum(end - begin <= crop for begin, end in map(frame.extent, faces))
    return fitting >= 0.95 * len(faces) or len(faces) == 0


def _following(frame: _Frame, looks: Sequence[Look], faces: Sequence[Face], first: int, end: int) -> Scene:
    """A cut-out that holds a face, or several at once, wherever it goes."""
    length, crop = frame.free
    low, high = [], []
    for face in faces:
        begin, stop = frame.extent(face)
        middle = (begin + stop - crop) / 2
        least = max(stop - crop, middle - DEAD_ZONE * crop)
        most = min(begin, middle + DEAD_ZONE * crop)
        if least > most:  # it is larger than the cut-out
            least = most = middle
        low.append(min(max(0.0, least), length - crop))
        high.append(min(max(0.0, most), length - crop))
    path = crop_path([look.frame for look in looks], low, high, (first, end), crop, frame.seen.fps)
    return Scene(first_frame=first, layout=Layout.CROP, path=path)


def _turns(looks: Sequence[Look], tracks: Sequence[Track]) -> list[int] | None:
    """Who speaks in each look, by the track's number; None where that is not to be told.

    Of all sequences of speakers the one whose mouths move most while there is sound, less a price for each change.
    """
    shares = [_shares(look, index, tracks) for index, look in enumerate(looks)]
    if not any(map(any, shares)):
        return None
    best = [list(shares[0])]
    back: list[list[int]] = []
    for share in shares[1:]:
        before = best[-1]
        leader = max(range(len(before)), key=before.__getitem__)
        come = [leader if before[leader] - CHANGE_OF_SPEAKER > before[each] else each for each in range(len(before))]
        prices = [before[at] - (CHANGE_OF_SPEAKER if at != each else 0.0) for each, at in enumerate(come)]
        best.append([price + own for price, own in zip(prices, share, strict=True)])
        back.append(come)
    turns = [max(range(len(tracks)), key=best[-1].__getitem__)]
    for come in reversed(back):
        turns.append(come[turns[-1]])
    turns.reverse()
    led = [
        share[turn] - max(own for at, own in enumerate(share) if at != turn)
        for share, turn in zip(shares, turns, strict=True)
    ]
    heard = [lead for lead, share in zip(led, shares, strict=True) if any(share)]
    return turns if sum(heard) / len(heard) >= SURE_OF_SPEAKER else None


def _shares(look: Look, index: int, tracks: Sequence[Track]) -> list[float]:
    """Of each face its share in how much mouths move, 0 to 1; nothing where there is silence or no movement."""
    moved = [max(0.0, track.faces[index].mouth) if index in track.faces else 0.0 for track in tracks]
    total = sum(moved)
    return [each / total if look.loudness > SILENCE and total > LEAST_MOUTH else 0.0 for each in moved]


def _by_turns(
    frame: _Frame, looks: Sequence[Look], faces: Sequence[Sequence[Face]], turns: Sequence[int], span: tuple[int, int]
) -> list[Scene]:
    """A scene for each turn, as if a camera stood before each speaker."""
    first, end = span
    begins = [at for at in range(len(turns)) if at == 0 or turns[at] != turns[at - 1]]
    scenes = []
    for begin, stop in zip(begins, [*begins[1:], len(turns)], strict=True):
        start = first if begin == 0 else looks[begin].frame
        last = end if stop == len(turns) else looks[stop].frame
        reach = min(stop + 1, len(turns))  # the look after it says where the face goes
        scenes.append(_following(frame, looks[begin:reach], faces[turns[begin]][begin:reach], start, last))
    return scenes


def _split(frame: _Frame, tracks: Sequence[Track], first: int) -> Scene:
    """Two faces, each in a cut-out of its own that stands still."""
    seen, finished = frame.seen, finished_size(frame.shape, frame.seen.width, frame.seen.height)
    aspect = finished[0] / (finished[1] / 2)
    tiles = []
    for track in tracks:
        face = around(track.faces.values())
        height = min(
            seen.height, seen.width / aspect, max(seen.height / 2, track.height / SPLIT_FACE, face.height * 1.5)
        )
        width = min(float(seen.width), height * aspect)
        left = min(max(0.0, face.middle[0] - width / 2), seen.width - width)
        top = min(max(0.0, face.middle[1] - height * 0.45), seen.height - height)
        whole = even(min(width, seen.width - 1)), even(min(height, seen.height - 1))
        tiles.append(
            Tile(
                left=min(round(left), seen.width - whole[0]), top=min(round(top), seen.height - whole[1]),
                width=whole[0], height=whole[1],
            )
        )  # fmt: skip
    return Scene(first_frame=first, layout=Layout.SPLIT, tiles=tuple(tiles))
