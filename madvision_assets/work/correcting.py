"""Taking in a corrected transcript: a new version of it, and the later stages done again."""

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from madvision_assets.domain.correction import corrected
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.subtitles import read_subtitles
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.transcript_forms import Form
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.replacements import new_run
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.replacing import Replacing, Words

ENGINE = "import"
WORDS = Words(
    then="Import the transcript when that has ended.",
    to_be_done_anew="transcribed anew",
    outdated="The transcript was changed meanwhile. Export it as it is now, and make the corrections in that.",
)


@dataclass(frozen=True)
class Corrections:
    """Takes in what a person has corrected.

    Args:
        store: where the documents are.
        database: where the lineage rows are.
        queue: which video is whose.
    """

    store: ObjectStore
    database: Database
    queue: Queue

    def take(self, video_id: str, data: bytes, form: Form, who: str) -> Transcript:
        """Publish a corrected transcript as its newest version, and queue the later stages.

        Args:
            video_id: its partition.
            data: the file, as ``subtitles.read_subtitles`` reads it.
            form: of the file.
            who: corrected it, for lineage.

        Returns:
            The transcript, sealed.

        Raises:
            BadSubtitlesError: the file cannot be taken; nothing is changed.
            OutdatedError: somebody else has changed it meanwhile; likewise.
            BusyError: the video is being processed; likewise.
            MissingInputError: nothing is transcribed of it yet; likewise.
            Failure: the database or the store cannot be used.
        """
        started_s = time.monotonic()
        old = read_current(self.store, Transcript, video_id)
        document = corrected(old, read_subtitles(data, form, old.duration_s))
        recipe = Recipe(
            engine=ENGINE,
            parameters={
                "file_sha256": hashlib.sha256(data).hexdigest(),
                "form": form.value,
                "who": who,
                "in_place_of": old.origin.data_version,
            },
        )
        sealed = document.seal(
            recipe,
            run_id=new_run(ENGINE),
            code_version=old.origin.code_version,
            inputs=old.origin.inputs,
            wall_s=time.monotonic() - started_s,
            created_at=datetime.now(UTC),
        )
        Replacing(self.store, self.database, self.queue).publish(sealed, old.origin.data_version, ENGINE, WORDS)
        return sealed
