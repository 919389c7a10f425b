"""Claims about what released versions left behind (``released/``): this version shows it, and carries it on."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from madvision_assets.connections import make_database, make_store
from madvision_assets.defs.resources import make_analyst
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.tables import lineage
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.databases import KINDS, new_database, url_of
from madvision_assets_tests.fakes import FakeOpenAI
from madvision_assets_tests.harness import Harness, open_harness
from madvision_assets_tests.intake.serving import Intake, serving, settings_in
from madvision_assets_tests.released import VERSIONS, LeftBehind, sample_document, unpacked

pytestmark = pytest.mark.whole

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep
STANDS = {"talk": "done", "silence": "done", "waits": "waiting", "fails": "failed", "queued": "queued"}
STATES = {
    "talk": ["done"] * 5,
    "silence": ["done"] * 5,
    "waits": ["done", "done", "done", "waiting", "pending"],
    "fails": ["done", "done", "failed", "pending", "pending"],
    "queued": ["pending"] * 5,
}
EXTENSIONS = ("mp4", "srt", "jpg")
DOCUMENTS = 18  # that were ever made of the five videos
PLACES = [pytest.param((version, kind), id=f"{version}-{kind}") for version in VERSIONS for kind in KINDS]


@contextmanager
def opened(place: tuple[str, str], request: pytest.FixtureRequest, folder: Path) -> Iterator[LeftBehind]:
    """A copy of what a version left, on one kind of database."""
    version, kind = place
    if kind == "sqlite":
        yield unpacked(version, folder)
        return
    with new_database(kind, request, folder) as database:
        yield unpacked(version, folder, url_of(database))


@pytest.fixture(scope="module", params=PLACES)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeftBehind]:
    """For tests that only look, migrated by the command."""
    with opened(request.param, request, tmp_path_factory.mktemp("seen")) as left:
        for _ in range(2):
            migrated = command(left).run("migrate")
            assert migrated.exit_code == 0, migrated.output
            assert "up to date" in migrated.output
        yield left


@pytest.fixture(params=PLACES)
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LeftBehind]:
    """For one test to carry on."""
    with opened(request.param, request, tmp_path) as copy:
        assert command(copy).run("migrate").exit_code == 0
        yield copy


@pytest.fixture
def harness(left: LeftBehind) -> Iterator[Harness]:
    """The daemon's work there; nothing can be downloaded or heard."""
    with open_harness(left.home, left.home / "no-source.mp4", **left.settings) as made:
        made.tools.plan(RAW, AssertionError("downloaded again"))
        made.tools.plan(HEARD, AssertionError("heard again"))
        yield made


@pytest.fixture(scope="module")
def intake(seen: LeftBehind) -> Iterator[Intake]:
    with served(seen) as running:
        yield running


@contextmanager
def served(left: LeftBehind) -> Iterator[Intake]:
    """The intake of this version over what was left."""
    with serving(settings_in(left.home, **left.settings)) as running:
        yield running


def command(left: LeftBehind) -> CommandLine:
    """The ``madvision`` command there."""
    return CommandLine(left.home, left.variables)


def told(left: LeftBehind, *arguments: str) -> Any:
    """What a command says in JSON."""
    result = command(left).run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def database_of(left: LeftBehind) -> Database:
    """Its database."""
    return make_database(settings_in(left.home, **left.settings))


def planned(harness: Harness) -> dict[str, list[str]]:
    """What the sensor asks for now: by video the stages of its run."""
    asked = harness.ask()
    return {
        str(request.partition_key): [key.to_user_string() for key in request.asset_selection or ()] for request in asked
    }


def run_planned(harness: Harness, video_id: str) -> list[str]:
    """Run what the sensor asks for this video; gives the stages."""
    [request] = [each for each in harness.ask() if each.partition_key == video_id]
    assert harness.launch(request).success
    return [key.to_user_string() for key in request.asset_selection or ()]


def fetched(intake: Intake, clip: dict[str, Any]) -> dict[str, httpx.Response]:
    """The files of a clip as the status links them."""
    urls = {"mp4": clip["url"], "srt": clip["captions_url"], "vtt": clip["subtitles_url"], "jpg": clip["thumbnail_url"]}
    return {extension: intake.client.get(url) for extension, url in urls.items()}


# --- on the command line it is shown; first, since the intake writes its log where a command prints ---


def test_the_command_shows_the_queue_and_each_history(seen: LeftBehind) -> None:
    queue = told(seen, "status")
    talk, waits = told(seen, "status", seen.tokens["talk"]), told(seen, "status", seen.videos["waits"])

    assert {row["video_id"]: row["status"] for row in queue["videos"]} == {
        seen.videos[name]: status for name, status in STANDS.items()
    }
    assert [breaker["name"] for breaker in queue["breakers"]] == ["analyst"]
    assert [attempt["status"] for attempt in talk["attempts"]] == ["done", "done"]
    assert [attempt["failure_cause"] for attempt in waits["attempts"]] == ["analyst_unavailable"]


def test_lineage_tells_what_counts_and_what_came_before(seen: LeftBehind) -> None:
    found = told(seen, "lineage", seen.videos["talk"])
    stages = {stage["asset"]: stage for stage in found["stages"]}

    assert list(stages) == [step.value for step in PipelineStep]
    assert [stage["superseded"] for stage in stages.values()] == [0, 0, 1, 1, 1]
    assert [stage["outdated_inputs"] for stage in stages.values()] == [[]] * 5
    assert len(found["materialisations"]) == 8
    assert "whisper-nano" in stages["transcript"]["model"]  # what that version heard its sample with
    assert stages["clip_candidates"]["prompt_hash"]
    assert found["current_cost_usd"] == found["total_cost_usd"] > 0
    assert stages["clips"]["inputs"][0]["data_version"] == stages["raw_video"]["data_version"]


def test_lineage_leads_from_a_clip_to_its_words(seen: LeftBehind) -> None:
    found = told(seen, "lineage", f"{seen.videos['talk']}.01")

    [segment] = found["clip"]["segments"]
    assert "David removed" in segment["text"]
    assert found["clip"]["start_s"] <= segment["start_s"] < segment["end_s"] <= found["clip"]["end_s"]


@pytest.mark.parametrize("form", ["tree", "table", "csv", "mermaid"])
def test_lineage_has_every_form_of_a_video_that_is_half_done(seen: LeftBehind, form: str) -> None:
    result = command(seen).run("lineage", seen.videos["waits"], "--format", form)

    assert result.exit_code == 0, result.output
    assert "content_type" in result.output


def test_everything_that_the_tables_name_is_found_in_the_store(seen: LeftBehind) -> None:
    result = command(seen).run("store", "verify")

    assert result.exit_code == 0, result.output
    assert f"2 videos are done, with 2 clips; {DOCUMENTS} documents" in result.output


def test_its_stages_are_measured_for_the_estimate(seen: LeftBehind) -> None:
    result = command(seen).run("cost", "estimate", "--hours-per-day", "24", "--measured")

    assert result.exit_code == 0, result.output
    assert "2 videos" in result.output


# --- over HTTP it is shown ---


@pytest.mark.parametrize("name", STANDS)
def test_each_video_stands_where_it_stood(intake: Intake, seen: LeftBehind, name: str) -> None:
    status = intake.status(seen.tokens[name])

    assert (status["video_id"], status["status"]) == (seen.videos[name], STANDS[name])
    assert [step["status"] for step in status["steps"]] == STATES[name]
    assert len(status["clips"]) == (2 if name == "talk" else 0)


def test_what_ended_or_waits_says_why(intake: Intake, seen: LeftBehind) -> None:
    talk, silence, waits, fails = (intake.status(seen.tokens[name]) for name in ("talk", "silence", "waits", "fails"))

    assert (talk["outcome"], silence["outcome"]) == ("clips", "no_speech")
    assert silence["outcome_reason"] == "Nobody speaks in this video."
    assert (waits["failure_cause"], fails["failure_cause"]) == ("analyst_unavailable", "policy_refusal")
    assert waits["next_attempt_at"]
    assert "can't help with that" in fails["failure_details"]


@pytest.mark.parametrize(
    ("name", "headline"),
    [
        ("talk", "2 clips are ready"),
        ("silence", "Nobody speaks in this video."),
        ("waits", "It goes on by itself"),
        ("fails", "This did not work"),
        ("queued", "In the queue"),
    ],
)
def test_each_video_has_its_page(intake: Intake, seen: LeftBehind, name: str, headline: str) -> None:
    page = intake.client.get(f"/video/{seen.tokens[name]}")

    assert page.status_code == 200
    assert headline in page.text


def test_the_files_of_each_clip_are_the_ones_that_were_cut(intake: Intake, seen: LeftBehind) -> None:
    written = json.dumps(sample_document(seen.version, "clips"))
    clips = intake.status(seen.tokens["talk"])["clips"]
    files = [fetched(intake, clip) for clip in clips]

    assert [clip["title"] for clip in clips] == ["What David removed", "What we learned"]
    for extension in EXTENSIONS:
        digests = [hashlib.sha256(answers[extension].content).hexdigest() for answers in files]
        assert len(set(digests)) == 2
        assert all(f"/{digest}.{extension}" in written for digest in digests)
    for answers in files:
        assert answers["vtt"].text.startswith("WEBVTT")
        assert answers["srt"].text.splitlines()[2] in answers["vtt"].text


# --- it is carried on ---


def test_a_video_that_is_done_has_nothing_left_to_do(left: LeftBehind, harness: Harness) -> None:
    for name in ("talk", "silence"):
        assert "1 video queued again" in command(left).run("requeue", "--video", left.videos[name]).output

    asked = planned(harness)

    assert not {left.videos["talk"], left.videos["silence"]} & asked.keys()
    rows = [harness.queue.get(left.videos[name]) for name in ("talk", "silence")]
    assert [(row.status, row.outcome) for row in rows if row] == [
        (QueueStatus.DONE, "clips"),
        (QueueStatus.DONE, "no_speech"),
    ]


def test_what_waits_goes_on_where_it_stood_and_does_nothing_twice(left: LeftBehind, harness: Harness) -> None:
    with FakeOpenAI() as openai:
        keys = {"openai_api_key": openai.key, "openai_base_url": openai.base_url}
        chosen = settings_in(left.home, **left.settings, **keys)
        harness.tools.analyst = make_analyst(chosen, database_of(left), make_store(chosen))
        assert run_planned(harness, left.videos["waits"]) == ["clip_candidates", "clips"]
        assert len(openai.completions) == 1

    assert harness.tools.calls == {CHOSEN: 1, CUT: 1}
    found = told(left, "lineage", left.videos["waits"])
    assert [row["asset"] for row in found["materialisations"]] == [step.value for step in PipelineStep]
    assert [stage["outdated_inputs"] for stage in found["stages"]] == [[]] * 5
    assert Operations(database_of(left)).open_breakers() == []
    with served(left) as intake:
        status = intake.status(left.tokens["waits"])
        assert (status["status"], status["attempt"]) == ("done", 2)
        [clip] = status["clips"]
        assert {answer.status_code for answer in fetched(intake, clip).values()} == {200}


def test_what_failed_goes_on_where_it_failed_when_somebody_queues_it_again(left: LeftBehind, harness: Harness) -> None:
    for cause in ("analyst_unavailable", "policy_refusal"):
        assert "1 video queued again" in command(left).run("requeue", "--cause", cause).output

    assert run_planned(harness, left.videos["fails"]) == ["content_type", "clip_candidates", "clips"]

    assert harness.tools.calls == {KIND: 1, CHOSEN: 1, CUT: 1}
    row = harness.queue.get(left.videos["fails"])
    assert row is not None
    assert (row.status, row.attempt, row.failure_cause) == (QueueStatus.DONE, 2, None)


def test_what_was_never_begun_is_planned_whole(left: LeftBehind, harness: Harness) -> None:
    assert planned(harness)[left.videos["queued"]] == [step.value for step in PipelineStep]


def test_clips_are_cut_again_by_the_queue(left: LeftBehind, harness: Harness) -> None:
    command(left).run("requeue", "--video", left.videos["talk"], "--from", "clips")

    assert run_planned(harness, left.videos["talk"]) == ["clips"]

    assert harness.tools.calls == {CUT: 1}
    found = told(left, "lineage", left.videos["talk"])
    assert len(found["materialisations"]) == 9
    assert [stage["outdated_inputs"] for stage in found["stages"]] == [[]] * 5
    assert command(left).run("store", "verify").exit_code == 0
    with served(left) as intake:
        clips = intake.status(left.tokens["talk"])["clips"]
        assert [clip["title"] for clip in clips] == ["What David removed", "What we learned"]
        assert {answer.status_code for clip in clips for answer in fetched(intake, clip).values()} == {200}


@pytest.mark.parametrize("version", VERSIONS)
def test_clips_are_cut_again_on_the_command_line(tmp_path: Path, version: str) -> None:
    left = unpacked(version, tmp_path)
    address = told(left, "status", left.videos["talk"])["address"]

    result = command(left).run("process", address, "--from", "clips")

    assert result.exit_code == 0, result.output
    assert re.findall(r"^(\w+) +done in", result.output, re.MULTILINE) == ["clips"]
    assert result.output.count("not done again") == 4
    assert f"2 clips of {left.videos['talk']}" in result.output


def test_a_new_submission_of_the_same_address_finds_it_done(left: LeftBehind) -> None:
    address = told(left, "status", left.videos["talk"])["address"]

    [receipt] = json.loads(command(left).run("submit", address, "--format", "json").stdout)

    assert (receipt["video_id"], receipt["status"]) == (left.videos["talk"], "done")
    with served(left) as intake:
        assert len(intake.status(receipt["token"])["clips"]) == 2


def test_lost_rows_of_lineage_are_read_back_out_of_every_document(left: LeftBehind) -> None:
    with database_of(left).writing() as connection:
        connection.execute(lineage.delete())

    result = command(left).run("store", "rebuild-lineage")

    assert result.exit_code == 0, result.output
    assert f"{DOCUMENTS} rows of lineage added" in result.output
    assert len(told(left, "lineage", left.videos["talk"])["materialisations"]) == 8


def test_a_forgotten_video_leaves_nothing_and_the_others_stay(left: LeftBehind) -> None:
    kept = set((left.home / "store").rglob(f"{left.videos['talk']}/*"))
    others = {path for path in (left.home / "store").rglob("*") if path.is_file()} - kept

    result = command(left).run("forget", left.videos["talk"], "--yes")

    assert result.exit_code == 0, result.output
    assert len(kept) > 15
    assert {path for path in (left.home / "store").rglob("*") if path.is_file()} == others
    assert command(left).run("store", "verify").exit_code == 0
    with served(left) as intake:
        gone = intake.client.get("/public/video/status", params={"token": left.tokens["talk"]})
        assert (gone.status_code, gone.json()["code"]) == (404, "unknown_token")
        assert intake.status(left.tokens["silence"])["status"] == "done"
