"""Claims about what operators and their programs see: the internal route, health, readiness, metrics."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from madvision_assets.domain.breakers import Breaker, BreakerState
from madvision_assets.domain.failures import ApiKeyInvalidError, NoAudioTrackError
from madvision_assets.domain.health import SENSORS, Beating
from madvision_assets.domain.paying import Came, Planned
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.figures import Figures
from madvision_assets.tools.database.forgetting import held
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.tables import breakers
from madvision_assets.work.ledger import Ledger
from madvision_assets_tests.intake.conftest import INTERNAL_KEY
from madvision_assets_tests.intake.serving import Intake, serving, settings_in
from madvision_assets_tests.stores import MADE_AT, raw_video

ROUTE = "/internal/perform-video-processing"
AUTHORISED = {"Authorization": f"Bearer {INTERNAL_KEY}"}


def _perform(intake: Intake, **asked: Any) -> tuple[int, dict[str, Any]]:
    answer = intake.client.post(ROUTE, json=asked, headers=AUTHORISED)
    return answer.status_code, dict(answer.json())


# --- the internal route ---


def test_a_failed_video_is_queued_again(intake: Intake) -> None:
    video_id = intake.submit("https://internal.example.org/failed.mp4")["video_id"]
    queue = Queue(intake.services.database)
    queue.begin(video_id, "run-1", None, PipelineStep.RAW_VIDEO)
    queue.fail(video_id, "run-1", None, PipelineStep.RAW_VIDEO, NoAudioTrackError())

    status, told = _perform(intake, video_id=video_id, from_step="transcript", priority=9)

    assert status == 202
    assert (told["status"], told["from_step"], told["priority"]) == ("queued", "transcript", 9)


def test_a_running_video_is_taken_from_its_worker(intake: Intake) -> None:
    video_id = intake.submit("https://internal.example.org/running.mp4")["video_id"]
    queue = Queue(intake.services.database)
    lease = queue.begin(video_id, "run-1", None, PipelineStep.RAW_VIDEO)

    status, told = _perform(intake, video_id=video_id)

    assert (status, told["status"]) == (202, "queued")
    assert not queue.report(lease, PipelineStep.RAW_VIDEO, 0.5, "still here")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer ü".encode()}])
def test_without_the_key_nothing_is_done(intake: Intake, headers: dict[str, Any]) -> None:
    answer = intake.client.post(ROUTE, json={"video_id": "x"}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "internal_key_invalid")


def test_without_a_key_in_the_settings_the_route_is_not_there(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path)) as closed:
        assert closed.client.post(ROUTE, json={"video_id": "x"}, headers=AUTHORISED).status_code == 404


def test_what_cannot_be_processed_is_told(intake: Intake) -> None:
    assert _perform(intake, video_id="web-unheard-of")[1]["code"] == "unknown_video"
    assert _perform(intake, video_id="web-unheard-of")[0] == 404
    forgotten = intake.submit("https://example.org/forgotten.mp4")["video_id"]
    with held(intake.services.database, [forgotten]) as these:
        these.delete_rows([forgotten])
    status, told = _perform(intake, video_id=forgotten)
    assert (status, told["code"]) == (410, "forgotten_video")
    assert f"{forgotten}: forgotten on " in told["detail"]
    for asked in ({}, {"video_id": "../x"}, {"video_id": "x\x00"}, {"video_id": "x", "from_step": "uploading"}):
        assert _perform(intake, **asked)[0] == 422


# --- health ---


def test_health_touches_nothing(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path), migrate=False) as intake:
        assert intake.client.get("/healthz").json() == {"status": "alive"}

    assert list(tmp_path.iterdir()) == []


def _checks(intake: Intake) -> dict[str, Any]:
    return {check["name"]: check for check in intake.client.get("/readyz").json()["checks"]}


def test_a_system_with_its_daemon_is_ready(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path)) as intake:
        for sensor in SENSORS:
            Figures(intake.services.database).beat(sensor.name, datetime.now(UTC))

        answer = intake.client.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


@pytest.mark.parametrize("silent", SENSORS, ids=lambda sensor: sensor.name)
@pytest.mark.parametrize(
    ("away_s", "told"),
    [(1.0, "was 6[0-9] s ago|was 9[0-9] s ago|was 5 min ago"), (None, "never"), (-3600.0, "in the future")],
)
def test_a_sensor_that_did_no_work_lately_is_told_and_submissions_are_still_taken(
    tmp_path: Path, silent: Beating, away_s: float | None, told: str
) -> None:
    now = datetime.now(UTC)
    beats = {sensor.name: now for sensor in SENSORS if sensor is not silent}
    if away_s is not None:  # longer than it may be silent; the future is what a clock leaves that went ahead
        beats[silent.name] = now - timedelta(seconds=away_s + (silent.silent_after_s if away_s > 0 else 0))
    with serving(settings_in(tmp_path)) as intake:
        for name, beat_at in beats.items():
            Figures(intake.services.database).beat(name, beat_at)

        answer = intake.client.get("/readyz")
        wrong = {check["name"]: check["detail"] for check in answer.json()["checks"] if check["status"] != "ok"}

        assert intake.submit()["status"] == "queued"
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert list(wrong) == [silent.part]
    assert re.search(told, wrong[silent.part])
    assert "Start the Dagster daemon" in wrong[silent.part]
    assert silent.meanwhile in wrong[silent.part]


def test_an_open_breaker_tells_what_to_do(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path)) as intake:
        video_id = intake.submit()["video_id"]
        queue = Queue(intake.services.database)
        queue.begin(video_id, "run-1", None, PipelineStep.CONTENT_TYPE)
        queue.fail(video_id, "run-1", None, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError())

        breakers = _checks(intake)["breakers"]
        figures = intake.client.get("/metrics").text

    assert breakers["status"] == "degraded"
    assert ApiKeyInvalidError.sentence in breakers["detail"]
    assert 'madvision_breaker_open{cause="api_key_invalid",name="analyst"} 1.0' in figures


def test_without_its_tables_the_system_is_not_ready_and_says_what_to_run(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path), migrate=False) as intake:
        answer = intake.client.get("/readyz")

    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert "madvision migrate" in answer.json()["detail"]


def test_without_its_store_the_system_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way")
    with serving(settings_in(tmp_path)) as intake:
        answer = intake.client.get("/readyz")

    assert answer.status_code == 503
    assert "store" in answer.json()["detail"]


# --- metrics ---


def _samples(intake: Intake) -> dict[tuple[str, ...], float]:
    text = intake.client.get("/metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


CALL = Planned("web-1", "content_type", "gpt-4o", "classify-2", worst_usd=0.5, lasts_s=60)


def test_metrics_count_the_queue_the_failures_the_stages_and_the_requests(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path)) as intake:
        database = intake.services.database
        intake.submit("https://media.example.org/1.mp4")
        failing = intake.submit("https://media.example.org/2.mp4")["video_id"]
        queue = Queue(database)
        queue.begin(failing, "run-1", None, PipelineStep.RAW_VIDEO)
        queue.fail(failing, "run-1", None, PipelineStep.RAW_VIDEO, NoAudioTrackError())
        made = raw_video()
        database.add_video(made.video_id, "http://x.example/")
        database.add_lineage(made, "file:///x")
        books = Ledger(database)
        books.settle(books.reserve(CALL), Came(cost_usd=0.25, cause="policy_refusal"))
        books.settle(books.reserve(CALL), Came(doubtful_usd=0.5, cause="analyst_unavailable"))

        samples = _samples(intake)

    assert samples["madvision_database_up",] == 1
    assert samples["madvision_queue_videos", "raw_video", "queued"] == 1
    assert samples["madvision_queue_videos", "raw_video", "failed"] == 1
    assert samples["madvision_queue_oldest_seconds", "raw_video", "queued"] < 60
    assert ("madvision_queue_oldest_seconds", "raw_video", "failed") not in samples
    assert samples["madvision_failures_total", "no_audio_track"] == 1
    assert samples["madvision_stage_seconds_sum", "raw_video"] == 2.5
    assert samples["madvision_stage_seconds_count", "raw_video"] == 1
    assert samples["madvision_stage_cost_usd_total", "raw_video"] == 0
    assert samples["madvision_paid_calls_usd_total", "content_type"] == 0.25
    assert samples["madvision_paid_calls_doubtful_usd", "content_type"] == 0.5
    assert samples["madvision_submissions_total",] == 2
    assert samples["madvision_http_requests_total", "POST", "/public/video", "202"] == 2
    assert samples["madvision_http_request_seconds_count", "/public/video"] == 2


@pytest.mark.parametrize(("resource", "left"), [("host:media.example.org", 1), ("store", None), ("host:other.org", 3)])
def test_metrics_tell_what_is_ready_to_begin_from_what_waits_for_something_broken(
    tmp_path: Path, resource: str, left: int | None
) -> None:
    with serving(settings_in(tmp_path)) as intake:
        for host, name in (("media", 1), ("media", 2), ("videos", 3)):
            intake.submit(f"https://{host}.example.org/{name}.mp4")
        now = datetime.now(UTC)
        shut = Breaker(
            name=resource, state=BreakerState.OPEN, cause="bot_check", failures=5, opened_at=now, probe_at=now
        )
        with intake.services.database.writing() as connection:
            connection.execute(breakers.insert().values(shut.model_dump()))

        samples = _samples(intake)

    assert samples["madvision_queue_videos", "raw_video", "queued"] == 3
    assert samples.get(("madvision_queue_ready", "raw_video")) == left
    assert samples.get(("madvision_queue_ready_oldest_seconds", "raw_video"), 0) < 60


def test_metrics_tell_when_the_database_is_away(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path), migrate=False) as intake:
        samples = _samples(intake)

    assert samples["madvision_database_up",] == 0


def test_addresses_that_nobody_serves_do_not_grow_the_metrics(intake: Intake) -> None:
    for n in range(5):
        intake.client.request(f"VERB{n}", f"/nothing/{n}")

    routes = {key[2] for key in _samples(intake) if key[0] == "madvision_http_requests_total"}
    assert "unmatched" in routes
    assert not any("nothing" in route for route in routes)


def test_figures_are_the_same_on_both_databases(tmp_path: Path, postgres_url: str) -> None:
    from madvision_assets.tools.database import Database
    from madvision_assets_tests.intake.serving import postgres_database

    with postgres_database(postgres_url) as url:
        postgres = Database(url)
        told = [_figures(database) for database in (postgres, Database(f"sqlite:///{tmp_path / 'figures.db'}"))]
        postgres.engine.dispose()

    assert told[0] == told[1]


def _figures(database: Any) -> list[Any]:
    from madvision_assets.domain.video import Video
    from madvision_assets.tools.database.submissions import NewSubmission, Submissions

    database.migrate()
    figures = Figures(database)
    video = Video(video_id="web-1", address="http://a.example/")
    Submissions(database, now=lambda: MADE_AT).add([NewSubmission(video)] * 2)
    queue = Queue(database, now=lambda: MADE_AT, spread=lambda: 1.0)
    queue.begin("web-1", "run-1", None, PipelineStep.CONTENT_TYPE)
    queue.fail("web-1", "run-1", None, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError())
    figures.beat("x", MADE_AT)
    figures.beat("x", MADE_AT + timedelta(seconds=1))
    return [
        figures.depths(),
        figures.failures(),
        figures.stages(),
        figures.submissions(),
        figures.open_breakers(),
        figures.beats(),
    ]
