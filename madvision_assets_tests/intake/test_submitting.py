"""Claims about taking submissions in, over a real socket."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from madvision_assets.domain.video import Options
from madvision_assets.intake.schemas import MAX_BATCH
from madvision_assets.tools.database.tables import submissions, video_processing_queue, videos
from madvision_assets.tools.download.identify import identify
from madvision_assets_tests.intake.serving import ADDRESS, Intake, postgres_database, serving, settings_in

# All spellings: attack/addresses.py.
PRIVATE = ("http://127.1/", "http://foo.localhost/")
MALFORMED = ("not an address", "http://user:password@example.org/")


@pytest.fixture(params=["sqlite", "postgresql"])
def on_each_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Intake]:
    if request.param == "sqlite":
        with serving(settings_in(tmp_path)) as running:
            yield running
        return
    with (
        postgres_database(request.getfixturevalue("postgres_url")) as url,
        serving(settings_in(tmp_path, database_url=url)) as running,
    ):
        yield running


def _code(intake: Intake, asked: Any) -> tuple[int, str, str | None]:
    answer = intake.client.post("/public/video", json=asked)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == answer.status_code
    return answer.status_code, problem["code"], problem["errors"][0].get("pointer")


def test_a_submission_gets_a_token_with_links_that_work(intake: Intake) -> None:
    answer = intake.client.post("/public/video", json={"url": f"{ADDRESS}?a=1"})

    receipt = answer.json()
    assert answer.status_code == 202
    assert set(receipt) == {"token", "video_id", "status", "status_url", "page_url"}
    assert receipt["status"] == "queued"
    assert answer.headers["location"] == receipt["status_url"]
    assert answer.headers["cache-control"] == "no-store"
    assert intake.client.get(receipt["status_url"]).json()["video_id"] == receipt["video_id"]
    assert intake.client.get(receipt["page_url"]).status_code == 200


def test_a_secret_in_an_address_is_shown_to_its_submitter_alone(intake: Intake) -> None:
    address = "https://clyp.it/ojz2wfah"
    secret = "b0078e077e15835845c528a44417719d"
    first, second = intake.submit(f"{address}?token={secret}"), intake.submit(address)

    assert first["video_id"] != second["video_id"]
    assert intake.status(first["token"])["url"] == f"{address}?token={secret}"
    for path in (second["status_url"], second["page_url"]):
        assert secret not in intake.client.get(path).text


@pytest.mark.parametrize(
    "typed",
    [
        "youtube.com/watch/aqz-KE-bpKQ\u200b",
        "Watch this:\nhttps://youtu.be/aqz-KE-bpKQ?si=x",
        "https:/youtu.be/aqz-KE-bpKQ",
    ],
)
def test_an_address_may_lack_its_scheme_and_stand_among_words(intake: Intake, typed: str) -> None:
    receipt = intake.submit(typed)

    assert receipt["video_id"] == "youtube-aqz-KE-bpKQ"
    assert intake.status(receipt["token"])["url"] == "https://www.youtube.com/watch?v=aqz-KE-bpKQ"


def test_only_a_submission_with_a_callback_gets_its_secret(intake: Intake) -> None:
    receipt = intake.submit(callback_url="https://hooks.example.org/done?utm_source=kept")

    assert len(receipt["callback_secret"].removeprefix("whsec_")) >= 43
    with intake.services.database.reading() as connection:
        kept = connection.execute(select(submissions.c.callback_url).where(submissions.c.callback_url.is_not(None)))
        assert kept.scalars().all() == ["https://hooks.example.org/done?utm_source=kept"]


@pytest.mark.parametrize("typed", ["<{}>", " {}\u200b", "\ufeff{}\n"])
def test_a_callback_is_kept_as_it_can_be_called(intake: Intake, typed: str) -> None:
    called = "https://hooks.example.org/done;a?order=1.&utm_source=kept"
    intake.submit(callback_url=typed.format(called))

    with intake.services.database.reading() as connection:
        newest = select(submissions.c.callback_url).order_by(submissions.c.created_at.desc())
        assert connection.execute(newest.limit(1)).scalar_one() == called


@pytest.mark.parametrize(
    "typed",
    [
        "hooks.example.org/done",
        "//hooks.example.org/done",
        "(https://hooks.example.org/)",
        "Call https://hooks.example.org/",
        "https:/hooks.example.org/done",
    ],
)
def test_a_callback_that_could_not_be_called_is_refused_with_what_to_do(intake: Intake, typed: str) -> None:
    answer = intake.client.post("/public/video", json={"url": ADDRESS, "callback_url": typed})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/callback_url")
    assert "in full, from http:// or https:// on" in answer.json()["detail"]


def test_links_begin_with_the_public_url_where_there_is_one(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path, public_url="https://clips.example.org/")) as behind_a_proxy:
        receipt = behind_a_proxy.submit()

    assert receipt["page_url"] == f"https://clips.example.org/video/{receipt['token']}"


def test_a_database_file_that_was_moved_away_takes_nothing_more(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path)) as intake:
        intake.submit()
        for file in tmp_path.glob("madvision.db*"):
            file.unlink()

        answer = intake.client.post("/public/video", json={"url": ADDRESS})

    assert answer.status_code == 503


def test_options_and_priority_arrive(intake: Intake) -> None:
    wanted = {"max_clips": 3, "min_clip_s": 5, "max_clip_s": 30.5}
    receipt = intake.submit(
        "https://media.example.org/options.mp4", priority=-7.0, options={**wanted, "max_clips": 3.0}
    )

    status = intake.status(receipt["token"])

    assert (status["priority"], status["options"]) == (-7, wanted)


def test_a_second_submission_with_other_options_gets_its_own_cut(intake: Intake) -> None:
    address = "https://media.example.org/cuts.mp4"
    usual, short, again, other = (
        intake.submit(address, **({"options": asked} if asked else {}))
        for asked in (None, {"max_clip_s": 20}, {"max_clip_s": 20, "max_clips": 10}, {"max_clip_s": 30})
    )

    assert short["video_id"] == again["video_id"]
    assert len({each["video_id"] for each in (usual, short, other)}) == 3
    assert intake.status(usual["token"])["options"]["max_clip_s"] == 60
    assert intake.status(short["token"])["options"]["max_clip_s"] == 20
    assert intake.status(other["token"])["options"]["max_clip_s"] == 30


def test_a_video_that_an_older_version_cut_so_stays_the_one(intake: Intake) -> None:
    address = "https://media.example.org/older.mp4"
    options = Options(max_clip_s=20)
    intake.services.database.add_video(identify(address), address, options)

    assert intake.submit(address, options={"max_clip_s": 20})["video_id"] == identify(address)


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_host_is_refused_in_every_spelling(intake: Intake, url: str) -> None:
    assert _code(intake, {"url": url}) == (422, "refused_address", "/url")
    assert _code(intake, {"url": ADDRESS, "callback_url": url}) == (422, "refused_address", "/callback_url")


@pytest.mark.parametrize("url", MALFORMED)
def test_what_is_no_address_is_refused(intake: Intake, url: str) -> None:
    assert _code(intake, {"url": url}) == (422, "invalid_address", "/url")
    assert _code(intake, {"url": ADDRESS, "callback_url": url}) == (422, "invalid_address", "/callback_url")


def test_private_hosts_are_taken_where_the_settings_say_so_but_never_the_clouds_metadata(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path, allow_private=True)) as lenient:
        lenient.submit("http://127.0.0.1:9000/a.mp4")
        lenient.submit("http://localhost/a.mp4")
        assert _code(lenient, {"url": "http://169.254.169.254/"})[1] == "refused_address"


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({}, "/url"),
        ({"url": None}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": "https://example.org/" + "a" * 10_000}, "/url"),
        ({"url": ADDRESS, "priority": 1}, "/priority"),
        ({"url": ADDRESS, "priority": -101}, "/priority"),
        ({"url": ADDRESS, "priority": "5"}, "/priority"),
        ({"url": ADDRESS, "priority": True}, "/priority"),
        ({"url": ADDRESS, "priority": 10**30}, "/priority"),
        ({"url": ADDRESS, "prioritty": 1}, "/prioritty"),
        ({"url": ADDRESS, "a/b~c": 1}, "/a~1b~0c"),
        ({"url": ADDRESS, "options": {"max_clips": 0}}, "/options/max_clips"),
        ({"url": ADDRESS, "options": {"max_clips": "3"}}, "/options/max_clips"),
        ({"url": ADDRESS, "options": {"min_clip_s": 60, "max_clip_s": 10}}, "/options"),
        ({"url": ADDRESS, "options": {"language": "klingon"}}, "/options/language"),
        ({"url": ADDRESS, "options": {"language": 5}}, "/options/language"),
        ({"url": ADDRESS, "options": {"title_language": "klingon"}}, "/options/title_language"),
        ({"url": ADDRESS, "options": {"topic": ["pricing"]}}, "/options/topic"),
        ({"url": ADDRESS, "options": {"start_s": "12:30"}}, "/options/start_s"),
        ({"url": ADDRESS, "options": {"start_s": 60, "end_s": 60}}, "/options/end_s"),
        ({"url": ADDRESS, "options": {"translate": "yes"}}, "/options/translate"),
        ({"url": ADDRESS, "options": {"renditions": ["round"]}}, "/options/renditions"),
        ({"url": ADDRESS, "options": {"renditions": "vertical"}}, "/options/renditions"),
        ({"url": ADDRESS, "options": {"captions": "comic"}}, "/options/captions"),
        ({"url": ADDRESS, "options": {"vocabulary": "Dagster"}}, "/options/vocabulary"),
        ({"url": ADDRESS, "options": {"vocabulary": ["x" * 61]}}, "/options/vocabulary/0"),
        ({"url": ADDRESS, "options": {"vocabulary": [str(n) for n in range(51)]}}, "/options/vocabulary"),
        ({"url": ADDRESS, "options": {"vocabulary": [f"{n:060}" for n in range(11)]}}, "/options/vocabulary"),
        ([], ""),
        ("https://example.org/", ""),
    ],
)
def test_a_request_of_the_wrong_form_says_where(intake: Intake, asked: Any, pointer: str) -> None:
    assert _code(intake, asked) == (422, "invalid_request", pointer)


def test_what_is_asked_of_the_words_arrives_in_one_form_and_is_a_video_of_its_own(intake: Intake) -> None:
    address = "https://media.example.org/words.mp4"
    usual = intake.submit(address)
    options = {"language": "DE", "translate": True, "vocabulary": ["  Ada\n\u202eLovelace ", "Ada Lovelace", "\x00"]}
    other = intake.submit(address, options=options)

    asked = intake.status(other["token"])["options"]

    assert {name: asked.get(name) for name in ("language", "translate", "vocabulary")} == {
        "language": "de",
        "translate": True,
        "vocabulary": ["Ada Lovelace"],
    }
    assert other["video_id"] != usual["video_id"]
    assert intake.status(usual["token"])["options"].keys() == {"max_clips", "min_clip_s", "max_clip_s"}


def test_a_language_that_there_is_none_of_is_told_in_a_sentence(intake: Intake) -> None:
    answer = intake.client.post("/public/video", json={"url": ADDRESS, "options": {"language": "xx"}})

    (error,) = answer.json()["errors"]
    assert error["detail"].startswith("Give the code of a language that a Whisper knows (ISO 639-1)")


def test_a_refusal_repeats_nothing_of_what_was_sent(intake: Intake) -> None:
    answer = intake.client.post("/public/video", json={"url": ["hunter2"], "priority": "hunter2"})

    assert "hunter2" not in answer.text


def test_the_good_ones_of_a_batch_are_taken_in_order(intake: Intake) -> None:
    asked = [
        {"url": f"{ADDRESS}?batch=1"},
        5,
        {"url": "http://127.1/"},
        {"url": f"{ADDRESS}?batch=1"},
        {"url": "x", "y": 1},
        {"url": f"[A talk]({ADDRESS}?batch=1), to be seen"},
    ]

    answer = intake.client.post("/public/videos", json={"videos": asked})

    first, second, third, fourth, fifth, sixth = answer.json()["submissions"]
    assert answer.status_code == 202
    assert first["video_id"] == fourth["video_id"] == sixth["video_id"]
    assert first["token"] != fourth["token"]
    assert [second["code"], third["code"], fifth["code"]] == ["invalid_request", "refused_address", "invalid_request"]
    assert intake.status(fourth["token"])["status"] == "queued"


def test_a_batch_may_have_a_thousand_and_no_more(intake: Intake) -> None:
    asked = [{"url": f"{ADDRESS}?n={n}"} for n in range(MAX_BATCH + 1)]

    taken = intake.client.post("/public/videos", json={"videos": asked[:-1]})
    refused = intake.client.post("/public/videos", json={"videos": asked})
    empty = intake.client.post("/public/videos", json={"videos": []})

    assert len({each["token"] for each in taken.json()["submissions"]}) == MAX_BATCH
    assert [refused.status_code, empty.status_code] == [422, 422]


def test_the_same_video_submitted_a_hundred_times_at_once_is_one_row_with_a_hundred_tokens(
    on_each_database: Intake,
) -> None:
    def submit(n: int) -> str:
        return str(on_each_database.submit(priority=-(n % 3))["token"])

    with ThreadPoolExecutor(32) as pool:
        tokens = set(pool.map(submit, range(100)))

    with on_each_database.services.database.reading() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (videos, video_processing_queue, submissions)
        ]
    assert len(tokens) == 100
    assert counts == [1, 1, 100]
    assert on_each_database.status(tokens.pop())["priority"] == 0


def test_connections_that_the_database_closed_meanwhile_cost_no_submission(tmp_path: Path, postgres_url: str) -> None:
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    with postgres_database(postgres_url) as url, serving(settings_in(tmp_path, database_url=url)) as intake:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: intake.submit(f"{ADDRESS}?n={n}"), range(8)))
        with intake.services.database.reading() as connection:
            connection.exec_driver_sql(others + "pg_backend_pid()")

        receipts = [intake.submit(f"{ADDRESS}?n={n}") for n in range(4)]

    assert len({receipt["token"] for receipt in receipts}) == 4


def test_both_databases_take_a_batch_and_a_callback(on_each_database: Intake) -> None:
    first = on_each_database.submit(callback_url="https://hooks.example.org/")
    batch = on_each_database.client.post("/public/videos", json={"videos": [{"url": ADDRESS}] * 3}).json()

    assert {each["video_id"] for each in batch["submissions"]} == {first["video_id"]}


def test_without_its_tables_the_database_counts_as_away(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path), migrate=False) as unprepared:
        answer = unprepared.client.post("/public/video", json={"url": ADDRESS})

    assert (answer.status_code, answer.json()["code"]) == (503, "schema_outdated")
    assert int(answer.headers["retry-after"]) > 0
    assert str(tmp_path) not in answer.text
