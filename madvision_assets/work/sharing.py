"""Sharing: what was heard and found in the same bytes at another address is taken over, and not paid for again.

Of a video that is cut in another way, the download is taken over, too.

Each video keeps its own partition, documents and lineage; ``taken_from`` says whose work a document is. What names
media of its own, such as clips, is made anew.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Document, Made, objects_in
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.quotas import Taken
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo, Video, uncut_id
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.documents import ABSENT, are_whole, read_current, read_version
from madvision_assets.tools.store.objects import ObjectStore

# What says the same whatever is asked of the clips; what is asked of the transcript, it says itself.
WHATEVER_IS_ASKED = (Transcript, ContentType)

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class Sharing:
    """Finds work that was done for the same bytes.

    Args:
        store: where the documents are.
        database: which knows the videos of the same bytes.
        account: is told of a video that takes over a download; it is cut, if not fetched, and as long as the first.
    """

    store: ObjectStore
    database: Database
    account: Callable[[str, Taken], None] = lambda _video_id, _taken: None

    def find(self, kind: type[D], inputs: Sequence[Document], code_version: str) -> Made[D] | None:
        """A document of another video that is made from just such inputs, as one of this video; None without any.

        Args:
            kind: what is to be made.
            inputs: what it is to be made from.
            code_version: of the code that would make it.
        """
        raw = next((each for each in inputs if isinstance(each, RawVideo)), None)
        if raw is None:
            return None
        try:
            others = self.database.videos_of_content(raw.media.sha256)
            found = (self._of(kind, each, inputs, code_version) for each in others if each != raw.video_id)
            other = next(filter(None, found), None)
        except Failure:  # whoever cannot be asked now is no reason to wait: the stage does its own work
            return None
        if other is None:
            return None
        return _taken(other, {"video_id": raw.video_id})

    def find_download(self, video_id: str, code_version: str) -> Made[RawVideo] | None:
        """The download of the same video that is cut in another way, its media copied for this one; None without any.

        Args:
            video_id: the partition that wants it.
            code_version: of the code that would fetch it.
        """
        try:
            video = self.database.get_video(video_id)
            for each in self.database.cuts_of(uncut_id(video_id)):
                other = self._download(each, code_version) if each != video_id else None
                if other is not None:
                    own = self._as_own(other, video)
                    with suppress(Failure):  # a database that is away: better uncounted than downloaded again
                        self.account(video_id, Taken(media_s=other.info.duration_s))
                    return own
        except Failure:  # likewise
            pass
        return None

    def _download(self, video_id: str, code_version: str) -> RawVideo | None:
        try:
            other = read_current(self.store, RawVideo, video_id)
        except ABSENT:
            return None
        is_whole = are_whole(self.store, (other.media, other.audio))
        return other if other.origin.code_version == code_version and is_whole else None

    def _as_own(self, other: RawVideo, video: Video) -> Made[RawVideo]:
        media, audio = (self.store.copy_media(each, video.video_id) for each in (other.media, other.audio))
        own = {"video_id": video.video_id, "media": media, "audio": audio, "options": video.options}
        if other.captions is not None:
            file = self.store.copy_media(other.captions.file, video.video_id)
            own["captions"] = other.captions.model_copy(update={"file": file})
        return _taken(other, own)

    def _of(self, kind: type[D], video_id: str, inputs: Sequence[Document], code_version: str) -> D | None:
        """The document of this other video that counts, where it could as well be of ours."""
        try:
            other = read_current(self.store, kind, video_id)
            used = {each.asset: each.data_version for each in other.origin.inputs}
            if other.origin.code_version != code_version or used.keys() != {each.asset for each in inputs}:
                return None
            theirs = [read_version(self.store, type(each), video_id, used[each.asset]) for each in inputs]
        except ABSENT:
            return None
        final = not getattr(other, "provisional", False) and not any(objects_in(other.model_dump(mode="json")))
        if getattr(other, "edits", ()) or getattr(other, "pictures", None):  # what an editor wants of that video
            return None
        says = partial(_says, kind)
        alike = all(says(one) == says(two) for one, two in zip(inputs, theirs, strict=True))
        return other if final and alike else None


def _taken(other: D, own: Mapping[str, object]) -> Made[D]:
    """The document as that of another video, with what is its own; it costs nothing, and says whose work it is."""
    recipe = other.origin.unpaid
    paid_by = recipe.taken_from or other.key
    return Made(other.model_copy(update={**own, "provenance": None}), recipe.model_copy(update={"taken_from": paid_by}))


def _says(kind: type[Document], document: Document) -> object:
    """What of an input decides what is made from it: of a video its bytes, and what is asked of what is made."""
    if isinstance(document, RawVideo):
        asked = document.options
        options: object = asked.speech if kind in WHATEVER_IS_ASKED else asked.moments
        captions = document.captions.file.sha256 if document.captions and kind is Transcript else ""
        return document.media.sha256, options, captions
    return document.model_dump(exclude={"video_id", "provenance"})
