"""Claims about documents that the lineage knew nothing of but their names: analysts see them like any other."""

from pathlib import Path

from sqlalchemy import null, select, update

from madvision_assets.tools.database import Database
from madvision_assets.tools.database.asking import asked
from madvision_assets.tools.database.tables import lineage
from madvision_assets.tools.store.documents import write_document
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.summarising import Summariser
from madvision_assets_tests import stores


def test_what_an_older_version_wrote_down_is_summarised_once_and_what_is_gone_not_looked_for_again(
    tmp_path: Path,
) -> None:
    database, store = Database(f"sqlite:///{tmp_path / 'm.db'}"), ObjectStore.from_url("memory://")
    database.ensure_schema()
    database.add_video(stores.VIDEO_ID, "http://example.org/v.mp4")
    raw = stores.raw_video()
    spoken = stores.transcript(raw, "one", "two")
    kind = stores.content_type(raw, spoken)
    for document in (raw, spoken, kind):
        uri = f"memory://{document.key}" if document is kind else write_document(store, document)
        database.add_lineage(document, uri)
    with database.reading() as connection:
        told = connection.execute(select(lineage.c.summary).order_by(lineage.c.id)).scalars().all()
    with database.writing() as connection:
        connection.execute(update(lineage).values(summary=null(), package_version=None))

    summariser = Summariser(database, store)

    assert [summariser.summarise(limit=2), summariser.summarise(limit=2), summariser.summarise()] == [2, 1, 0]
    with database.reading() as connection:
        again = connection.execute(select(lineage.c.summary).order_by(lineage.c.id)).scalars().all()
    assert again == [*told[:2], {}]
    with asked(database, "SELECT duration_s, language FROM v_videos") as found:
        assert list(found.rows) == [(60.0, "en")]
