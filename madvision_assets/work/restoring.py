"""What a restore ends with: rows of lineage that only the documents tell of, and a look at whether all is there.

A backup holds the database as it was, and the store as it was a little later: what came in between has documents and
no rows. Nothing else may be at work meanwhile.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import select

from madvision_assets.domain.clips import Clips
from madvision_assets.domain.documents import ObjectRef, document_key
from madvision_assets.domain.failures import MissingInputError, NewerDocumentError, UnreadableDocumentError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.statements import Told, insert_lineage
from madvision_assets.tools.database.tables import lineage, video_processing_queue, videos
from madvision_assets.tools.store.copying import AT_ONCE, POINTER, batched
from madvision_assets.tools.store.documents import read_current, read_envelope
from madvision_assets.tools.store.objects import ObjectStore


@dataclass(frozen=True)
class Inspection:
    """Whether what the tables name is in the store.

    Attributes:
        videos: that are done.
        clips: of these.
        documents: that have a row of lineage.
        missing: a sentence for each thing that is not there, or not whole.
    """

    videos: int
    clips: int
    documents: int
    missing: tuple[str, ...]


def rebuild_lineage(database: Database, store: ObjectStore) -> int:
    """Add the rows that are missing, out of the documents' own provenance; gives how many.

    Documents of videos that the tables do not know are passed over, and so are those that cannot be read.
    """
    with database.reading() as connection:
        known = set(connection.execute(select(videos.c.video_id)).scalars())
    return sum(_rebuild_stage(database, store, step, known) for step in PipelineStep)


def inspect(database: Database, store: ObjectStore) -> Inspection:
    """Look for every clip of every video that is done, and for every document that has a row of lineage."""
    queue = video_processing_queue
    with database.reading() as connection:
        ended = select(queue.c.video_id).where(queue.c.status == QueueStatus.DONE.value)
        done = connection.execute(ended.order_by(queue.c.video_id)).scalars().all()
        made = select(lineage.c.asset, lineage.c.video_id, lineage.c.data_version).distinct()
        keys = sorted(document_key(*row) for row in connection.execute(made))
    missing: list[str] = []
    clips = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for some in batched(done):
            for count, lost in pool.map(lambda video_id: _inspect_clips(store, video_id), some):
                clips += count
                missing += lost
        for batch in batched(keys):
            there = pool.map(store.exists, batch)
            missing += [f"{key} is not in the store" for key, found in zip(batch, there, strict=True) if not found]
    return Inspection(len(done), clips, len(keys), tuple(missing))


def _rebuild_stage(database: Database, store: ObjectStore, step: PipelineStep, known: set[str]) -> int:
    with database.reading() as connection:
        made = select(lineage.c.asset, lineage.c.video_id, lineage.c.data_version).where(lineage.c.asset == step.value)
        told = {document_key(*row) for row in connection.execute(made)}
    added = 0
    for key in store.list_keys(step.value):
        _, video_id, name = key.split("/")
        if name == POINTER or key in told or video_id not in known:
            continue
        try:
            document = read_envelope(store, step, video_id, name.removesuffix(".json"))
        except (MissingInputError, NewerDocumentError, UnreadableDocumentError):
            continue
        with database.writing() as connection:
            row = Told(video_id, document.provenance, store.uri(key))
            connection.execute(insert_lineage(row, sqlite=database.is_sqlite))
        added += 1
    return added


def _inspect_clips(store: ObjectStore, video_id: str) -> tuple[int, list[str]]:
    try:
        made = read_current(store, Clips, video_id)
    except MissingInputError:
        return 0, [f"the clips of {video_id} are not in the store"]
    except (NewerDocumentError, UnreadableDocumentError) as failure:
        return 0, [f"the clips of {video_id} cannot be read: {failure.details}"]
    files = chain.from_iterable(clip.files.values() for clip in made.clips)
    return len(made.clips), [f"{file.key} is not in the store whole" for file in files if not _is_whole(store, file)]


def _is_whole(store: ObjectStore, file: ObjectRef) -> bool:
    try:
        return store.size_bytes(file.key) == file.size_bytes
    except MissingInputError:
        return False
