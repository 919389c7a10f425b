"""Editing: what a person changes of the clips becomes a new version of what they are cut from, and they are cut anew.

Only pictures that change are rendered: the renderer takes every other one as it lies.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from madvision_assets.domain.clip_edits import ENGINE, Spoken, edited, spoken_words, to_render
from madvision_assets.domain.clips import ClipCandidates
from madvision_assets.domain.failures import MissingInputError
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.renditions import PictureOptions
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo
from madvision_assets.domain.wanted_edits import Edit
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.replacements import new_run
from madvision_assets.tools.store.documents import read_current, read_version
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.patience import PATIENCE_S
from madvision_assets.work.replacing import OutdatedError, Replacing, Words

WORDS = Words(
    then="Make the changes when that has ended.",
    to_be_done_anew="searched for moments anew",
    outdated=(
        "The clips were changed meanwhile, so that these changes may not fit any more. "
        "Look at the clips as they are now, and make the changes again."
    ),
)


@dataclass(frozen=True)
class Editable:
    """A video's clips as they can be changed.

    Attributes:
        chosen: the version that changes are made on.
        raw: the video.
        said: what is said in it.
    """

    chosen: ClipCandidates
    raw: RawVideo
    said: Transcript

    @classmethod
    def read(cls, store: ObjectStore, video_id: str) -> "Editable":
        """Those that count now.

        Raises:
            MissingInputError: no moments are chosen of it yet.
            Failure: the store is away, or a document cannot be read here.
        """
        chosen = read_current(store, ClipCandidates, video_id)
        used = {each.asset: each.data_version for each in chosen.origin.inputs}
        if not {RawVideo.asset, Transcript.asset} <= used.keys():
            raise MissingInputError(f"{chosen.key} does not say what it was made from")
        return cls(
            chosen=chosen,
            raw=read_version(store, RawVideo, video_id, used[RawVideo.asset]),
            said=read_version(store, Transcript, video_id, used[Transcript.asset]),
        )

    @property
    def version(self) -> str:
        """What an edit names as the version that it was made on."""
        return self.chosen.origin.data_version

    @property
    def duration_s(self) -> float:
        """Of the video."""
        return self.raw.info.duration_s

    @property
    def pictures(self) -> PictureOptions:
        """What is made of the clips' pictures."""
        return self.chosen.pictures_of(self.raw.options)

    @cached_property
    def words(self) -> tuple[Spoken, ...]:
        """What points can be set to; edits name them by their places."""
        return spoken_words(self.said, self.duration_s)


@dataclass(frozen=True)
class Edited:
    """What came of edits.

    Attributes:
        clips: as they are to be; sealed, unless they were only tried.
        to_render: the numbers of those whose pictures are to be made.
        pictures: what is to be made of each.
        before: what was made of each.
    """

    clips: ClipCandidates
    to_render: tuple[int, ...]
    pictures: PictureOptions
    before: PictureOptions


@dataclass(frozen=True)
class Editing:
    """Makes a person's changes.

    Args:
        store: where the documents are.
        database: where the lineage rows are.
        queue: which video is whose.
        patience_s: how long a database or store that is away is waited for, seconds.
    """

    store: ObjectStore
    database: Database
    queue: Queue
    patience_s: float = PATIENCE_S

    def make(
        self, video_id: str, edits: Sequence[Edit], *, version: str | None, who: str, only_try: bool = False
    ) -> Edited:
        """Make all these edits or none, and queue the video, whose clips alone are made again then.

        Args:
            video_id: its partition.
            edits: in this order.
            version: that they were made on; None is whichever is the newest.
            who: makes them, for lineage.
            only_try: change nothing.

        Raises:
            EditRefusedError: they cannot be made; nothing is changed.
            OutdatedError: there is a newer version than theirs; likewise.
            BusyError: the video is being processed; likewise.
            MissingInputError: no moments are chosen of it yet; likewise.
            Failure: the database or the store cannot be used.
        """
        started_s = time.monotonic()
        old = Editable.read(self.store, video_id)
        if version not in {None, old.version}:
            raise OutdatedError(WORDS.outdated)
        asked = old.raw.options
        document = edited(old.chosen, edits, old.words, old.duration_s, who, asked)
        anew, pictures = to_render(old.chosen, document, asked), document.pictures_of(asked)
        if only_try:
            return Edited(document, anew, pictures, old.pictures)
        sealed = document.seal(
            _recipe(old, document, who),
            run_id=new_run(ENGINE),
            code_version=old.chosen.origin.code_version,
            inputs=old.chosen.origin.inputs,
            wall_s=time.monotonic() - started_s,
            created_at=datetime.now(UTC),
        )
        Replacing(self.store, self.database, self.queue, self.patience_s).publish(sealed, old.version, ENGINE, WORDS)
        return Edited(sealed, anew, pictures, old.pictures)


def _recipe(old: Editable, new: ClipCandidates, who: str) -> Recipe:
    """A person's; where pictures alone are chosen that of the moments, which are whose they were."""
    told = {"edits": _told(old, new), "who": who, "in_place_of": old.version}
    if new.edits != old.chosen.edits:
        return Recipe(engine=ENGINE, parameters=told)
    recipe = old.chosen.origin.unpaid
    return recipe.model_copy(update={"parameters": {**recipe.parameters, **told}})


def _told(old: Editable, new: ClipCandidates) -> str:
    """What was changed, for lineage."""
    told = [f"{each.change} {each.rank}" for each in new.edits[len(old.chosen.edits) :]]
    if new.pictures is not None and new.pictures != old.chosen.pictures:
        named = [*new.pictures.files, *filter(None, [new.pictures.captions])]
        told.append(f"pictures {' '.join(named) or 'none'}")
    return ", ".join(told)
