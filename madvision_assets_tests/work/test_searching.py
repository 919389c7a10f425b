"""Claims about the search: a phrase leads to the video, the moment and the clip, in both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, text

from madvision_assets.domain.spoken import BadQuestionError
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.forgetting import held
from madvision_assets.tools.database.tables import spoken_passages
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.forgetting import forget
from madvision_assets.work.searching import MAX_HITS, Indexer, Search, fill
from madvision_assets_tests import stores
from madvision_assets_tests.databases import KINDS, emptied, new_database
from madvision_assets_tests.work.test_forgetting import Partitions

HTML = '<script>alert("x")</script>'
SAID = ("Good evening.", "The budget of the city grew.", "Its deficit, she said, is déjà vu.", f"So much for {HTML}.")
OTHERS = "web-0000000000000002"


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path_factory.mktemp("search")) as made:
        made.migrate()
        yield made


@pytest.fixture
def database(migrated: Database) -> Database:
    return emptied(migrated)


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore.from_url("memory://")


def said(video_id: str, *texts: str, run_id: str = "run-1") -> Transcript:
    segments = tuple(Segment(id=n, start_s=n * 10, end_s=n * 10 + 10, text=each) for n, each in enumerate(texts))
    made = Transcript(video_id=video_id, language="en", duration_s=60, audible_s=60, covered_s=60, segments=segments)
    return stores.sealed(made, run_id=run_id)


def published(database: Database, *texts: str, video_id: str = stores.VIDEO_ID, run_id: str = "run-1") -> Transcript:
    database.add_video(video_id, "http://x/")
    made = said(video_id, *texts, run_id=run_id)
    database.add_lineage(made, "there")
    return made


def test_a_phrase_leads_to_video_moment_and_clip(database: Database) -> None:
    raw = stores.raw_video()
    named = raw.model_copy(update={"source": raw.source.model_copy(update={"title": "The news"})})
    spoken = published(database, *SAID)
    candidates = stores.clip_candidates(raw, spoken, stores.content_type(raw, spoken))
    for document in (named, stores.clips(raw, spoken, candidates)):
        database.add_lineage(document, "there")

    (found,) = Search(database).find('"CITY grew" deficit').moments
    (outside,) = Search(database).find("evening").moments

    assert (found.video_id, found.title, found.start_s, found.end_s) == (stores.VIDEO_ID, "The news", 10.0, 30.0)
    assert found.text == f"{SAID[1]} {SAID[2]}"
    assert found.clip is not None
    assert found.clip.clip_id == f"{stores.VIDEO_ID}.01"
    assert outside.clip is None, "no clip shows it"


@pytest.mark.parametrize(
    ("asked", "is_found"),
    [
        ("deja VU", True),
        ("budget evening", True),
        ('"budget evening"', False),
        ('"grew its deficit"', True),
        ("budget surplus", False),
        ("script alert", True),
        ("DROP TABLE", False),
        ("budg*", False),
        ("budget:* & !deficit", True),
        ("(budget", True),
        ("bud\0get", False),
        ('budget" OR "1"="1', False),
        ("NEAR(budget, deficit)", False),
        ("\ud800 budget \N{GRINNING FACE}", True),
    ],
)
def test_only_words_mean_anything_in_a_question(database: Database, asked: str, is_found: bool) -> None:
    published(database, *SAID)

    assert bool(Search(database).find(asked).moments) is is_found


@pytest.mark.parametrize("asked", ["", "\0", "!!!", "x" * 10_000, " ".join(f"w{n}" for n in range(90))])
def test_a_question_that_cannot_be_asked_is_told_what_to_do(database: Database, asked: str) -> None:
    with pytest.raises(BadQuestionError, match="Look for"):
        Search(database).find(asked)


def test_languages_without_spaces_are_found_by_any_part_of_a_sentence(database: Database) -> None:
    published(
        database, "機械学習の話です。", "Это снег.", "สวัสดีครับ", "नमस्ते दुनिया", "안녕하세요 여러분", "مَدْرَسَة", "தமிழ்"
    )

    for asked in ("学習", "СНЕГ", "สวัสดี", "दुनिया", '"नमस्ते दुनिया"', "여러분", "مدرسة", "தமிழ்"):
        assert Search(database).find(asked).moments, asked
    for asked in ("習学", "दीनया", "தமழ", "द"):
        assert not Search(database).find(asked).moments, asked


def test_only_the_newest_transcript_of_a_video_is_searched_and_none_of_a_forgotten_one(database: Database) -> None:
    published(database, "The cat sat.")
    published(database, "The dog sat.", run_id="run-2")
    published(database, "The cow sat.", video_id=OTHERS)

    assert not Search(database).find("cat").moments
    assert [each.text for each in Search(database).find("sat").moments] == ["The cow sat.", "The dog sat."]

    with held(database, [OTHERS]) as these:
        these.delete_rows([OTHERS])

    assert [each.text for each in Search(database).find("sat").moments] == ["The dog sat."]


def test_of_a_forgotten_video_no_word_stays_readable_in_the_file(
    database: Database, store: ObjectStore, tmp_path: Path
) -> None:
    if not database.is_sqlite:
        pytest.skip("the vacuum of PostgreSQL does so")
    for n in range(20):
        published(database, f"Ordinary words, take {n}.", video_id=f"web-{n}")
    published(database, "The password is xylophonist.", video_id=OTHERS)
    published(database, "The password is quizmaster.", video_id=OTHERS, run_id="run-2")
    file = Path(str(database.engine.url.database))

    def kept(word: bytes) -> bool:
        return any(word in each.read_bytes() for each in file.parent.iterdir())

    assert (kept(b"uizmaster"), kept(b"rdinary")) == (True, True)
    (done,) = forget(database, store, tmp_path, Partitions(), [OTHERS])

    assert (done.videos, kept(b"ylophonist"), kept(b"uizmaster"), kept(b"rdinary")) == (1, False, False, True)
    assert len(Search(database).find("ordinary words").moments) == 20


def test_the_version_before_forgets_a_video_without_knowing_the_table(database: Database) -> None:
    made = published(database, "The cat sat.")
    with database.writing() as connection:
        for table in ("lineage", "videos"):
            connection.execute(text(f"DELETE FROM {table} WHERE video_id = :it"), {"it": made.video_id})  # noqa: S608

    assert not Search(database).find("cat").moments


def test_a_search_stays_within_the_videos_that_it_may_look_into(database: Database) -> None:
    published(database, "The cat sat.")
    published(database, "The cat slept.", video_id=OTHERS)

    assert [each.video_id for each in Search(database).find("cat", video_ids=[OTHERS]).moments] == [OTHERS]
    assert not Search(database).find("cat", video_ids=[]).moments


@pytest.mark.parametrize(("asked", "limit"), [("cat", 3), ("mouse", 1), ("mouse", 2)])
def test_pages_follow_each_other_to_the_end_with_each_moment_once(database: Database, asked: str, limit: int) -> None:
    for n in range(7):
        texts = [f"cat{n} number {m}" if m % 2 else f"a cat {m}" for m in range(9)]
        texts[3] = "A mouse, which two passages share."
        published(database, *texts, video_id=f"web-{n}")

    pages, before = [], None
    while True:
        found = Search(database).find(asked, limit, before=before)
        pages.append([(each.video_id, each.start_s) for each in found.moments])
        assert len(pages[-1]) <= limit
        if (before := found.next_before) is None:
            break
    whole = [(each.video_id, each.start_s) for each in Search(database).find(asked, MAX_HITS).moments]

    assert [each for page in pages for each in page] == whole
    assert len(set(whole)) == len(whole)
    assert whole[0][0] == "web-6", "the newest comes first"
    assert len({video_id for video_id, _ in whole}) == 7


def test_what_was_there_before_is_filled_in_and_goes_on_where_it_was_broken_off(
    database: Database, store: ObjectStore
) -> None:
    ids = [f"web-{n}" for n in range(4)]
    for video_id in ids:
        made = published(database, "The cat sat.", video_id=video_id)
        if video_id != "web-2":
            write_document(store, made)
            point_current(store, made)
    silent = published(database, video_id="web-9")
    write_document(store, silent)
    point_current(store, silent)
    with database.writing() as connection:
        connection.execute(delete(spoken_passages))

    assert next(iter(fill(database, store))).video_id == "web-0"
    assert len(Search(database).find("cat").moments) == 1
    rest = list(fill(database, store))

    assert [each.video_id for each in rest] == ["web-1", "web-2", "web-3", "web-9"]
    assert [each.video_id for each in rest if each.problem] == ["web-2"], "its document is gone"
    assert {each.video_id for each in Search(database).find("cat").moments} == {"web-0", "web-1", "web-3"}
    assert [each.video_id for each in fill(database, store)] == ["web-2"], "the others are done"


def test_what_another_rule_took_apart_is_indexed_anew_a_bit_at_a_time(database: Database, store: ObjectStore) -> None:
    for n in range(3):
        made = published(database, "दिन", video_id=f"web-{n}")
        write_document(store, made)
        point_current(store, made)
    with database.writing() as connection:
        connection.execute(delete(spoken_passages))
        old = {"number": 0, "sentences": [[0, 10, "दिन"]], "words": "द न"}
        rows = [{"video_id": f"web-{n}", "data_version": made.origin.data_version, **old} for n in range(3)]
        connection.execute(insert(spoken_passages), rows)
    indexer = Indexer(database, store)

    assert [indexer.go_on(0.0) for _ in range(5)] == [1, 1, 1, 0, 0]
    assert {each.video_id for each in Search(database).find("दिन").moments} == {"web-0", "web-1", "web-2"}
    assert list(fill(database, store)) == []


def test_a_transcript_that_is_published_meanwhile_is_not_put_back(database: Database, store: ObjectStore) -> None:
    old = published(database, "The cat sat.")
    write_document(store, old)
    point_current(store, old)
    with database.writing() as connection:
        connection.execute(delete(spoken_passages))
    filling = fill(database, store)
    published(database, "The dog sat.", run_id="run-2")

    list(filling)

    assert [each.text for each in Search(database).find("sat").moments] == ["The dog sat."]
