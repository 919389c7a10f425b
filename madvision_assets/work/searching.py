"""Searching what is said: a phrase leads to the video, the moment, and the clip that has it."""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from madvision_assets.domain.failures import MissingInputError, NewerDocumentError, UnreadableDocumentError
from madvision_assets.domain.provenance import Value
from madvision_assets.domain.spoken import SHARED, Question, Sentence, moment_in
from madvision_assets.domain.summaries import About, ShownClip
from madvision_assets.domain.transcript import Transcript
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.objects import ObjectStore

MAX_HITS = 100
HIGHEST_ID = 2**63 - 1  # that a database can have
INDEXING_S = 10.0


class FoundMoment(Value):
    """Where everything that was asked for is said.

    Attributes:
        video_id: its video.
        title: of the video; empty where nobody knows it.
        start_s: of the first sentence of it, seconds from the start of the video.
        end_s: of the last one.
        text: these sentences, as they were spoken: words of strangers.
        clip: the best clip that has the middle of it; None where none has.
    """

    video_id: str
    title: str
    start_s: float
    end_s: float
    text: str
    clip: ShownClip | None = None


class Found(Value):
    """What a search came to.

    Attributes:
        moments: those that were published last first.
        next_before: with this the search goes on; None at the end.
    """

    moments: tuple[FoundMoment, ...]
    next_before: int | None = None


@dataclass(frozen=True)
class Search:
    """Looks through what is said; every method raises as ``Database`` does.

    Args:
        database: where it is kept.
    """

    database: Database

    def find(
        self, asked: str, limit: int = 20, video_ids: Collection[str] | None = None, before: int | None = None
    ) -> Found:
        """Where everything that is asked for is said.

        Args:
            asked: words, all of which are to be said within about a quarter of a minute; phrases in quotes.
            limit: at most so many moments, and at most ``MAX_HITS``.
            video_ids: only in these videos; None is all.
            before: goes on after an earlier search (``Found.next_before``); at most ``HIGHEST_ID``.

        Raises:
            BadQuestionError: nothing can be looked for; says what to do.
        """
        from madvision_assets.tools.database.newest import about_videos, clips_of_videos
        from madvision_assets.tools.database.spoken import Spoken

        question = Question.read(asked)
        limit = max(1, min(limit, MAX_HITS))
        # A moment that passages share is found in each, of which one may have ended the page before.
        spoken = Spoken(self.database)
        found = spoken.find(question, SHARED * limit + 1, video_ids, before)
        earlier = spoken.at(before) if before is not None else None
        told_before = moment_in(earlier.sentences, question) if earlier else None
        shown = {(earlier.video_id, told_before.start_s)} if earlier and told_before else set()
        moments: dict[tuple[str, float], tuple[int, Sentence]] = {}
        last_id = None
        for each in found:
            moment = moment_in(each.sentences, question)
            if moment is None or (each.video_id, moment.start_s) in moments.keys() | shown:
                continue
            if len(moments) == limit:
                break
            moments[each.video_id, moment.start_s] = each.id, moment
            last_id = each.id
        else:
            last_id = found[-1].id if len(found) > SHARED * limit else None
        there = {video_id for video_id, _ in moments}
        about, clips = about_videos(self.database, there), clips_of_videos(self.database, there)
        told = (
            FoundMoment(
                video_id=video_id,
                title=about.get(video_id, About()).title,
                clip=clip_with(clips.get(video_id, ()), moment),
                **moment.model_dump(),
            )
            for (video_id, _), (_, moment) in moments.items()
        )
        return Found(moments=tuple(told), next_before=last_id)


@dataclass(frozen=True)
class Filled:
    """What one more video came to: None where it is searched now, else why not."""

    video_id: str
    problem: str | None = None


def fill(database: Database, store: ObjectStore) -> Iterator[Filled]:
    """Make searchable what was transcribed before there was a search, or one that takes words apart by this rule.

    One video after the other.

    Broken off, it goes on where it stopped when it is called again. Raises as ``Database`` and the store do.
    """
    from madvision_assets.tools.database.spoken import Spoken
    from madvision_assets.tools.store.documents import read_current

    spoken = Spoken(database)
    for batch in spoken.missing():
        for video_id in batch:
            try:
                transcript = read_current(store, Transcript, video_id)
            except (MissingInputError, NewerDocumentError, UnreadableDocumentError) as failure:
                yield Filled(video_id, str(failure))
                continue
            spoken.fill(transcript)
            yield Filled(video_id)


@dataclass
class Indexer:
    """Makes searchable, a bit at a time, what no or another version did; all is looked at once in a process.

    Args:
        database: where it is kept.
        store: where the transcripts are.
    """

    database: Database
    store: ObjectStore
    _left: Iterator[Filled] | None = field(default=None, init=False)
    _is_done: bool = field(default=False, init=False)

    def go_on(self, limit_s: float = INDEXING_S) -> int:
        """Go on for so many seconds; tells of how many videos.

        Raises:
            Failure: the database or the store cannot be used; the next call begins anew.
        """
        if self._is_done:
            return 0
        left = self._left or fill(self.database, self.store)
        self._left, filled, ends_s = None, 0, time.monotonic() + limit_s
        for each in left:
            filled += each.problem is None
            if time.monotonic() > ends_s:
                self._left = left
                return filled
        self._is_done = True
        return filled


def clip_with(clips: Sequence[ShownClip], moment: Sentence) -> ShownClip | None:
    """The best clip that has the middle of a moment: its cuts may lie within the first and the last sentence."""
    middle_s = (moment.start_s + moment.end_s) / 2
    return next((clip for clip in clips if clip.start_s <= middle_s < clip.end_s), None)
