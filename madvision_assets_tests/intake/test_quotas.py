"""Claims about a client at the door whose share of the day is used up."""

from datetime import UTC, datetime
from pathlib import Path

from madvision_assets.domain.quotas import Taken, day_of, seconds_left
from madvision_assets.tools.database.intakes import Intakes
from madvision_assets.tools.database.queue import Queue
from madvision_assets.work.dispatch import Dispatcher
from madvision_assets.work.quotas import Quotas
from madvision_assets_tests.intake.sending import VERSION, asked_for, begin, patched, some_bytes
from madvision_assets_tests.intake.serving import Intake, serving, settings_in
from madvision_assets_tests.waiting import wait_for

MINUTES, LIMIT_S = 60.0, 60.0
OTHER = {"X-Forwarded-For": "198.51.100.7"}


def use_up(intake: Intake) -> None:
    submitter = intake.services.submitters.name("127.0.0.1")
    Intakes(intake.services.database).add(submitter, "web-1", Taken(media_s=MINUTES * 60), datetime.now(UTC))


def test_who_has_used_up_his_share_is_told_when_it_goes_on_for_addresses_and_files_alike(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path, quota_minutes_per_day=60)) as intake:
        one = {"url": "https://media.example.org/talk.mp4"}
        token = intake.client.post("/public/video", json=one, headers=OTHER).json()["token"]
        key = {"Authorization": f"Bearer {token}"}
        change = {"version": "v", "edits": [{"change": "drop", "clip": 1}]}
        use_up(intake)
        answers = [
            intake.client.post("/public/video", json=one),
            intake.client.post("/public/videos", json={"videos": [one]}),
            intake.client.post(
                "/public/upload", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "1000"}, content=b""
            ),
            intake.client.post("/", data=one, headers={"Accept": "text/html"}),
            intake.client.patch("/public/video/clips", json=change, headers=key),
        ]
        only_tried = intake.client.patch("/public/video/clips", json={**change, "dry_run": True}, headers=key)

        for answer in answers:
            assert answer.status_code == 429, answer.text
            assert "00:00 UTC" in answer.text
            assert abs(int(answer.headers["Retry-After"]) - seconds_left(datetime.now(UTC))) < 120
        assert answers[0].json()["code"] == answers[-1].json()["code"] == "quota_spent"
        assert only_tried.json()["code"] == "no_moments"
        assert intake.client.post("/public/video", json=one, headers=OTHER).status_code == 202


def test_what_was_submitted_before_waits_and_page_and_api_say_so(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path, quota_minutes_per_day=60)) as intake:
        token = intake.submit()["token"]
        use_up(intake)
        services = intake.services
        quotas = Quotas(services.database, services.quotas._quotas.rules)
        Dispatcher(Queue(services.database), services.store, 4, gates=(quotas.check_video,)).launches()

        status = intake.status(token)
        page = intake.client.get(f"/video/{token}", headers={"Accept": "text/html"}).text

    assert (status["status"], status["failure_cause"], status["next_step"]) == ("waiting", "quota_spent", "wait")
    assert datetime.fromisoformat(status["next_attempt_at"]).strftime("%H:%M") == "00:00"
    assert "goes on by itself after midnight" in status["failure_sentence"]
    assert status["failure_sentence"] in page


def test_bytes_of_files_count_as_they_come_also_of_those_that_are_given_up(tmp_path: Path) -> None:
    data = some_bytes(2.5)
    with serving(settings_in(tmp_path, quota_bytes_per_day=2 * len(data))) as intake:
        for _ in range(2):
            path = begin(intake, len(data) + 1)
            assert patched(intake, path, 0, data).status_code == 204
            assert intake.client.delete(path, headers=VERSION).status_code == 204

        submitter = intake.services.submitters.name("127.0.0.1")
        since = day_of(datetime.now(UTC))
        assert Intakes(intake.services.database).taken(submitter, since).size_bytes == 2 * len(data)
        wait_for(lambda: asked_for(intake, 10).status_code == 429, LIMIT_S)


def test_a_submission_knows_its_client_by_name_alone(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path)) as intake:
        mine, theirs = (
            intake.submit()["video_id"],
            intake.client.post("/public/video", json={"url": "https://media.example.org/b.mp4"}, headers=OTHER).json()[
                "video_id"
            ],
        )
        known = [Intakes(intake.services.database).submitters_of(each) for each in (mine, theirs)]

        assert known == [[intake.services.submitters.name(who)] for who in ("127.0.0.1", "198.51.100.7")]
