"""Facts for analysts of documents that an older version, or a restore, wrote down without them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from madvision_assets.domain.failures import (
    DamagedDocumentError,
    MissingInputError,
    NewerDocumentError,
    UnreadableDocumentError,
)
from madvision_assets.domain.stages import PipelineStep, is_stage
from madvision_assets.domain.summaries import summary_of
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.documents import read_version
from madvision_assets.tools.store.objects import ObjectStore

if TYPE_CHECKING:
    from sqlalchemy import Row

AT_ONCE = 100
# What stands for a document that is gone, or that nobody here can read: it is not looked at again.
UNKNOWN: dict[str, object] = {}


@dataclass(frozen=True)
class Summariser:
    """Writes down what is missing, a bit at a time.

    Args:
        database: whose lineage lacks it.
        store: where the documents are.
    """

    database: Database
    store: ObjectStore

    def summarise(self, limit: int = AT_ONCE) -> int:
        """Read the documents of the oldest rows without a summary, and write it down; gives of how many.

        Args:
            limit: at most so many rows.

        Raises:
            Failure: the database or the store cannot be used.
        """
        from sqlalchemy import select, update

        from madvision_assets.tools.database.tables import lineage

        columns = (lineage.c.id, lineage.c.asset, lineage.c.video_id, lineage.c.data_version)
        bare = select(*columns).where(lineage.c.summary.is_(None)).order_by(lineage.c.id).limit(limit)
        with self.database.reading() as connection:
            rows = connection.execute(bare).all()
        found = list(_found(self.store, rows))
        if found:
            with self.database.writing() as connection:
                for row_id, summary in found:
                    connection.execute(update(lineage).where(lineage.c.id == row_id).values(summary=summary))
        return len(found)


def _found(store: ObjectStore, rows: "Iterable[Row[tuple[int, str, str, str]]]") -> Iterator[tuple[int, object]]:
    for row_id, asset, video_id, data_version in rows:
        if not is_stage(asset):
            yield row_id, UNKNOWN
            continue
        try:
            document = read_version(store, PipelineStep(asset).stage.document, video_id, data_version)
        except (DamagedDocumentError, MissingInputError, NewerDocumentError, UnreadableDocumentError):
            yield row_id, UNKNOWN
        else:
            yield row_id, summary_of(document) or UNKNOWN
