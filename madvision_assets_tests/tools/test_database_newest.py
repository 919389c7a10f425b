"""What the newest documents say of a video: its name, and what it is."""

import pytest

from madvision_assets.domain.summaries import TITLE_CHARS, About
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.newest import about_videos
from madvision_assets_tests import stores

HOSTILE = 'Say "hi" \N{GRINNING FACE} <b>שלום</b>\n\u202e' + "very " * 100


@pytest.fixture
def known(database: Database) -> Database:
    """A database that has the video."""
    database.add_video(stores.VIDEO_ID, "http://x/")
    return database


def test_a_video_is_called_what_its_newest_documents_say_on_one_line_of_bounded_length(known: Database) -> None:
    raw = stores.raw_video()
    spoken = stores.transcript(raw, "one")
    assert raw.provenance is not None
    later = raw.provenance.model_copy(update={"run_id": "another"})
    named = raw.source.model_copy(update={"title": HOSTILE, "uploader": "Ada"})
    renamed = raw.model_copy(update={"source": named, "provenance": later})
    for document in (raw, renamed, spoken, stores.content_type(renamed, spoken)):
        known.add_lineage(document, "there")

    about = about_videos(known, [stores.VIDEO_ID, "web-unknown"])

    assert about.keys() == {stores.VIDEO_ID}
    told = about[stores.VIDEO_ID]
    assert told.title.startswith('Say "hi" \N{GRINNING FACE} <b>שלום</b> very')
    assert len(told.title) <= TITLE_CHARS
    assert not {"\n", "\u202e"} & set(told.title)
    assert (told.uploader, told.duration_s, told.language, told.kind) == ("Ada", 60, "en", "news")


def test_what_nobody_knows_yet_is_left_out(known: Database) -> None:
    assert about_videos(known, [stores.VIDEO_ID]) == {}

    known.add_lineage(stores.raw_video(), "there")

    assert about_videos(known, [stores.VIDEO_ID]) == {stores.VIDEO_ID: About(duration_s=60)}
