"""What a person changes of the clips: in and out points, titles, clips that go and that come, their pictures. Pure.

Points are snapped to words, as an analyst's moments are: a clip begins and ends in the silence around what is said, and
cuts through no word. A person may have clips of any length that a submission may ask for; they overlap nowhere.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import inf
from typing import NamedTuple

from madvision_assets.domain.captions import joined_text
from madvision_assets.domain.clips import Change, ClipCandidate, ClipCandidates, MadeEdit, Outcome
from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.renditions import PictureOptions
from madvision_assets.domain.selection import MOST_CHARS
from madvision_assets.domain.timeline import MAX_LEAD_S, MAX_TAIL_S
from madvision_assets.domain.titles import true_title
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.wanted_edits import Add, ChoosePictures, Drop, Edit, Retitle, Trim
from madvision_assets.domain.wording import letters

ENGINE = "editor"  # of a document that a person made
SHORTEST_S, LONGEST_S = 1.0, 1200.0  # as ``Options`` has them
MOST_CLIPS, MOST_EDITS = 50, 200
MOST_KEPT = 200  # changes of one document: versions are kept, and each repeats all edits before it
CHOSEN_BY_A_PERSON = "An editor chose it."
NO_WISH = PictureOptions()
_MINUTE_S = 60


class EditRefusedError(ValueError):
    """An edit cannot be made; the sentence says why and what to do. Nothing is changed.

    Args:
        sentence: for a person.
        number: of the edit in the request, from 0; None where it is of all.
    """

    def __init__(self, sentence: str, number: int | None = None) -> None:
        self.number = number
        super().__init__(sentence)


class Spoken(NamedTuple):
    """What a point can be set to: a word, or a whole segment where nobody knows when its words are said."""

    text: str
    start_s: float
    end_s: float
    segment: int

    @property
    def middle_s(self) -> float:
        """Whichever side of a point this lies on, most of the word does."""
        return (self.start_s + self.end_s) / 2


def spoken_words(transcript: Transcript, media_duration_s: float) -> tuple[Spoken, ...]:
    """Everything that a point can be set to, in time order; their places are the numbers of words in edits."""
    return tuple(
        Spoken(each.text, each.start_s, min(max(each.start_s, each.end_s), media_duration_s), segment.id)
        for segment in transcript.segments
        for each in segment.words or (segment,)
        if each.start_s < media_duration_s
    )


def edited(
    chosen: ClipCandidates,
    edits: Sequence[Edit],
    words: Sequence[Spoken],
    media_duration_s: float,
    who: str = "",
    asked: PictureOptions = NO_WISH,
) -> ClipCandidates:
    """The clips as these edits, made one after the other, leave them: all, or none.

    Args:
        chosen: the version that they are made on.
        edits: what is to be changed.
        words: of its transcript, by ``spoken_words``.
        media_duration_s: no clip ends after it.
        who: makes them.
        asked: the pictures that the submission asks for.

    Returns:
        The document, not sealed, with each edit that changes a moment among its ``edits``. Clips that are not named
        stay exactly as they are; one that is added has a number that no clip of the video ever had.

    Raises:
        EditRefusedError: one of them cannot be made, the clips would overlap, or nothing would change.
    """
    desk = _Desk(chosen, words, media_duration_s, who, chosen.pictures_of(asked))
    for number, edit in enumerate(edits):
        try:
            desk.make(edit)
        except EditRefusedError as refused:
            raise EditRefusedError(str(refused), number) from None
    return desk.result()


def to_render(before: ClipCandidates, after: ClipCandidates, asked: PictureOptions = NO_WISH) -> tuple[int, ...]:
    """The numbers of the clips whose pictures are others than before: all where there are to be more of each."""
    more = after.pictures_of(asked).beyond(before.pictures_of(asked))
    cut = {} if more else {each.rank: (each.start_s, each.end_s) for each in before.candidates}
    return tuple(each.rank for each in after.candidates if cut.get(each.rank) != (each.start_s, each.end_s))


@dataclass
class _Desk:
    """Where one edit after the other is made."""

    chosen: ClipCandidates
    words: Sequence[Spoken]
    media_duration_s: float
    who: str
    pictures: PictureOptions
    clips: dict[int, ClipCandidate] = field(init=False)
    made: list[MadeEdit] = field(default_factory=list)
    _were: PictureOptions = field(init=False)
    _highest_s: list[float] = field(init=False)
    _lowest_s: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self._were = self.pictures
        self.clips = {each.rank: each for each in self.chosen.candidates}
        # In time order, whatever the words themselves are in: up to each word the latest, from each word the earliest.
        middles_s = [each.middle_s for each in self.words]
        self._highest_s = list(accumulate(middles_s, max))
        self._lowest_s = list(accumulate(reversed(middles_s), min))[::-1]

    def make(self, edit: Edit) -> None:
        match edit:
            case Add():
                rank = self._next_rank()
                self._note(Change.ADD, rank, None, self._added(edit, rank))
            case Trim():
                clip = self._clip(edit.clip)
                self._note(Change.TRIM, edit.clip, clip, self._trimmed(clip, edit))
            case Retitle():
                clip = self._clip(edit.clip)
                self._note(Change.RETITLE, edit.clip, clip, clip.model_copy(update={"title": _title(edit.title)}))
            case Drop():
                self._note(Change.DROP, edit.clip, self._clip(edit.clip), None)
            case ChoosePictures():
                self.pictures = PictureOptions.model_validate({**dict(self.pictures), **edit.given})

    def result(self) -> ClipCandidates:
        are_others = self.pictures != self._were
        if not self.made and not are_others:
            raise EditRefusedError("Nothing would be changed: the clips are just so already.")
        if not self.clips:
            raise EditRefusedError("No clip would be left. Keep one, or add one.")
        if len(self.clips) > MOST_CLIPS:
            raise EditRefusedError(f"A video has at most {MOST_CLIPS} clips. Drop some.")
        pictures_chosen = self.chosen.pictures_chosen + are_others
        count = len(self.chosen.edits) + len(self.made) + pictures_chosen
        if count > MOST_KEPT:
            raise EditRefusedError(
                f"The clips of a video can be changed {MOST_KEPT} times, and this would make {count}. Ask whoever runs "
                "this system to have its moments chosen anew, or submit it with other options."
            )
        self._part({each.rank for each in self.made})
        last = {each.rank: number for number, each in enumerate(self.made)}
        made = [
            each.model_copy(update={"after": self.clips.get(each.rank)}) if last[each.rank] == number else each
            for number, each in enumerate(self.made)
        ]
        count = len(self.clips)
        by_a_person = f"{count} {'moment' if count == 1 else 'moments'}, as an editor wants them."
        return self.chosen.model_copy(
            update={
                "provenance": None,
                "outcome": Outcome.CLIPS,
                "outcome_reason": by_a_person if made else self.chosen.outcome_reason,
                "provisional": self.chosen.provisional and not made,
                "candidates": tuple(self.clips.values()),
                "edits": (*self.chosen.edits, *made),
                "pictures": self.pictures if are_others else self.chosen.pictures,
                "pictures_chosen": pictures_chosen,
            }
        )

    def _note(self, change: Change, rank: int, before: ClipCandidate | None, after: ClipCandidate | None) -> None:
        if before == after:
            return
        if after is None:
            del self.clips[rank]
        else:
            self.clips[rank] = after
        version = self.chosen.origin.data_version
        self.made.append(MadeEdit(change=change, rank=rank, before=before, after=after, version=version, who=self.who))

    def _clip(self, rank: int) -> ClipCandidate:
        if rank not in self.clips:
            known = ", ".join(map(str, self.clips)) or "none"
            raise EditRefusedError(f"There is no clip {rank}. There are: {known}.")
        return self.clips[rank]

    def _next_rank(self) -> int:
        known = [each.rank for each in self.chosen.candidates]
        known += [each.rank for each in (*self.chosen.edits, *self.made)]
        return max(known, default=0) + 1

    def _trimmed(self, clip: ClipCandidate, edit: Trim) -> ClipCandidate:
        was = self._first_from(clip.start_s), self._last_until(clip.end_s)
        wanted = self._first_of(edit), self._last_of(edit)
        first, last = (old if new is None else new for old, new in zip(was, wanted, strict=True))
        self._require_order(first, last, f"Clip {clip.rank}")
        if (first, last) == was:
            return clip
        cut = {
            "start_s": clip.start_s if first == was[0] else self._start_s(first),
            "end_s": clip.end_s if last == was[1] else self._end_s(last),
            "first_segment": self.words[first].segment,
            "last_segment": self.words[last].segment,
            "words": last - first + 1,
            "criteria": clip.criteria if first <= was[1] and was[0] <= last else {},
            "quote": clip.quote if clip.quote and letters(clip.quote) in letters(self._said(first, last)) else "",
        }
        return self._of_fit_length(clip.model_copy(update=cut))

    def _added(self, edit: Add, rank: int) -> ClipCandidate:
        first, last = self._first_of(edit), self._last_of(edit)
        if first is None or last is None:  # its form asks for both
            raise EditRefusedError("Say where the new clip begins and ends.")
        self._require_order(first, last, "The new clip")
        return self._of_fit_length(
            ClipCandidate(
                rank=rank,
                start_s=self._start_s(first),
                end_s=self._end_s(last),
                title=_title(edit.title) if edit.title else true_title("", self._said(first, last), ""),
                reason=CHOSEN_BY_A_PERSON,
                quote="",
                score=1.0,
                first_segment=self.words[first].segment,
                last_segment=self.words[last].segment,
                words=last - first + 1,
            )
        )

    def _first_of(self, points: Trim | Add) -> int | None:
        if points.first_word is not None:
            return self._known(points.first_word)
        return None if points.start_s is None else self._first_from(self._inside(points.start_s))

    def _last_of(self, points: Trim | Add) -> int | None:
        if points.last_word is not None:
            return self._known(points.last_word)
        return None if points.end_s is None else self._last_until(self._inside(points.end_s))

    def _known(self, number: int) -> int:
        if number >= len(self.words):
            count = len(self.words)
            raise EditRefusedError(f"There is no word {number}: the transcript has {count}, counted from 0.")
        return number

    def _inside(self, place_s: float) -> float:
        if place_s > self.media_duration_s:
            raise EditRefusedError(
                f"{_clock(place_s)} lies after the end of the video, which is at {_clock(self.media_duration_s)}."
            )
        return place_s

    def _first_from(self, start_s: float) -> int:
        """The first word whose middle lies there or later."""
        return bisect_left(self._highest_s, start_s)

    def _last_until(self, end_s: float) -> int:
        """The last word whose middle lies there or earlier; -1 where none does."""
        return bisect_right(self._lowest_s, end_s) - 1

    def _require_order(self, first: int, last: int, whose: str) -> None:
        if first > last:
            raise EditRefusedError(
                f"{whose} would have no words: its end lies before its start, or nobody speaks between them. "
                "Choose points with at least a word between them."
            )

    def _of_fit_length(self, clip: ClipCandidate) -> ClipCandidate:
        if not SHORTEST_S <= clip.duration_s <= LONGEST_S:
            raise EditRefusedError(
                f"It would last {clip.duration_s:.1f} s; a clip lasts {SHORTEST_S:g} to {LONGEST_S:g} s."
            )
        return clip

    def _start_s(self, first: int) -> float:
        begin_s = self.words[first].start_s
        before_s = max((word.end_s for word in self.words[max(0, first - 3) : first]), default=-inf)
        return max(0.0, begin_s - MAX_LEAD_S, min(begin_s, (before_s + begin_s) / 2))

    def _end_s(self, last: int) -> float:
        stop_s = self.words[last].end_s
        after_s = self.words[last + 1].start_s if last + 1 < len(self.words) else inf
        return min(self.media_duration_s, stop_s + MAX_TAIL_S, max(stop_s, (stop_s + after_s) / 2))

    def _said(self, first: int, last: int) -> str:
        return joined_text(word.text for word in self.words[first : last + 1] if word.text)

    def _part(self, touched: Collection[int]) -> None:
        """Lets no two clips overlap: of those that share silence alone the edited one gives way.

        Raises:
            EditRefusedError: they share words.
        """
        in_time = sorted(self.clips.values(), key=lambda each: (each.start_s, each.end_s))
        for one, other in ((self.clips[a.rank], self.clips[b.rank]) for a, b in pairwise(in_time)):
            if other.start_s >= one.end_s or not {one.rank, other.rank} & set(touched):
                continue
            if self._first_from(other.start_s) <= self._last_until(min(one.end_s, other.end_s)):
                raise EditRefusedError(
                    f"Clips {one.rank} and {other.rank} would overlap: {other.rank} begins at {_clock(other.start_s)}, "
                    f"and {one.rank} ends at {_clock(one.end_s)}. Trim one of them, or drop it, in the same request."
                )
            if other.rank in touched:
                self.clips[other.rank] = other.model_copy(update={"start_s": one.end_s})
            else:
                self.clips[one.rank] = one.model_copy(update={"end_s": other.start_s})


def _title(text: str) -> str:
    title = cleaned(text, MOST_CHARS["title"])
    if not title:
        raise EditRefusedError("A title needs at least one letter that can be seen.")
    return title


def _clock(seconds: float) -> str:
    minutes, rest_s = divmod(seconds, _MINUTE_S)
    return f"{int(minutes)}:{rest_s:05.2f}"
