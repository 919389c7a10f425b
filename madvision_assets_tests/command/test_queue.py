"""Claims about the commands that feed, show and move the queue."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from rich.console import Console
from sqlalchemy import select

from madvision_assets.command.display_queue import look_at_queue, look_at_video
from madvision_assets.command.main import Workplace
from madvision_assets.defs.launch import add_partition, open_instance
from madvision_assets.defs.partitions import videos
from madvision_assets.domain.failures import ApiKeyInvalidError, Failure, PrivateVideoError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Options
from madvision_assets.tools.database.forgetting import Held
from madvision_assets.tools.database.leases import Lease
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import Submissions
from madvision_assets.tools.database.tables import heartbeats, submissions
from madvision_assets_tests.command_line import CommandLine

ONE, TWO, THREE = (f"https://example.org/{name}.mp4" for name in ("one", "two", "three"))


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


@pytest.fixture
def workplace(command_line: CommandLine) -> Workplace:
    return command_line.workplace()


def submitted(command_line: CommandLine, *addresses: str) -> list[str]:
    """IDs of videos, queued."""
    told = json.loads(command_line.run("submit", *addresses, "--format", "json").stdout)
    return [each["video_id"] for each in told]


def start(workplace: Workplace, video_id: str, step: PipelineStep = PipelineStep.RAW_VIDEO) -> Lease:
    return Queue(workplace.database).begin(video_id, f"run-of-{video_id}", None, step)


def fail(workplace: Workplace, video_id: str, step: PipelineStep, failure: Failure) -> None:
    lease = start(workplace, video_id, step)
    Queue(workplace.database).fail(video_id, lease.run_id, lease.attempt, step, failure)


def status_of(workplace: Workplace, video_id: str) -> str | None:
    row = Queue(workplace.database).get(video_id)
    return row.status.value if row else None


# --- submit ---


def test_a_submitted_video_is_queued_and_its_token_leads_to_it(command_line: CommandLine, workplace: Workplace) -> None:
    result = command_line.run("submit", "http://Example.com:80/talk.mp4#x", "--priority", "7")

    assert result.exit_code == 0, result.output
    video_id, status, token = result.stdout.split()
    tracked = Submissions(workplace.database).find(token)
    assert tracked is not None
    assert (tracked.address, tracked.row.video_id, tracked.row.priority) == ("http://example.com/talk.mp4", video_id, 7)
    assert status == "queued"


def test_the_same_video_submitted_twice_is_one_video_with_two_tokens(
    command_line: CommandLine, workplace: Workplace
) -> None:
    first, second = (command_line.run("submit", ONE).stdout.split() for _ in range(2))

    assert first[0] == second[0]
    assert first[2] != second[2]
    with workplace.database.reading() as connection:
        assert len(connection.execute(select(submissions)).all()) == 2


def test_each_way_to_cut_is_a_video_of_its_own_and_what_cannot_be_had_is_told(
    command_line: CommandLine, workplace: Workplace
) -> None:
    usual, short, again = (
        command_line.run("submit", ONE, *how).stdout.split()[0]
        for how in ((), ("--max-clip-s", "20"), ("--max-clip-s", "20", "--max-clips", "10"))
    )

    assert usual != short == again
    assert workplace.database.get_video(short).options == Options(max_clip_s=20)
    for how, name in ((("--max-clips", "0"), "--max-clips"), (("--min-clip-s", "90"), "--min-clip-s")):
        refused = command_line.run("submit", ONE, *how)
        assert (refused.exit_code, name in refused.stderr) == (2, True)
    assert len(Operations(workplace.database).rows()) == 2


def test_shapes_and_captions_are_asked_for_by_name(command_line: CommandLine, workplace: Workplace) -> None:
    asked = command_line.run("submit", ONE, "--renditions", "vertical, square", "--captions", "bold").stdout.split()[0]

    assert workplace.database.get_video(asked).options == Options.model_validate(
        {"renditions": ["vertical", "square"], "captions": "bold"}
    )
    for how, known in ((("--renditions", "round"), "portrait"), (("--captions", "comic"), "karaoke")):
        refused = command_line.run("submit", ONE, *how)
        assert (refused.exit_code, how[0] in refused.stderr, known in refused.stderr) == (2, True, True)


def test_of_a_list_the_good_lines_are_taken_and_the_bad_ones_are_told_with_their_numbers(
    command_line: CommandLine, workplace: Workplace
) -> None:
    listed = f"\ufeff{ONE}\n\n# a comment\nftp://x/y\n  {TWO}  \r\n".encode() + b"\xff\xfe\nhttp://u:p@h/x\n"
    listed += f"Watch this: {ONE}?three\n[{ONE}]({TWO})\n".encode()

    result = command_line.run("submit", "--file", "-", "--format", "json", typed=listed)

    assert result.exit_code == 1
    assert len(json.loads(result.stdout)) == 3
    assert [n for n in range(1, 10) if f"line {n}:" in result.stderr] == [4, 6, 7, 9]
    assert "4 lines could not be taken" in result.stderr
    assert "several addresses" in result.stderr
    assert len(Operations(workplace.database).rows()) == 3


def test_a_list_of_thousands_is_taken_in_batches(
    command_line: CommandLine, workplace: Workplace, tmp_path: Path
) -> None:
    listed = tmp_path / "addresses.txt"
    listed.write_text("".join(f"https://example.org/{n}.mp4\n" for n in range(1100)))

    result = command_line.run("submit", "--file", str(listed))

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1100
    assert sum(count.count for count in Operations(workplace.database).counts()) == 1100


def test_an_address_on_the_command_line_that_is_none_leaves_all_the_others_untaken(
    command_line: CommandLine, workplace: Workplace
) -> None:
    assert command_line.run("submit", ONE, "/no/such.mp4").exit_code == 2
    assert Operations(workplace.database).counts() == []


def test_an_empty_list_is_an_empty_result(command_line: CommandLine) -> None:
    result = command_line.run("submit", "--file", "-", "--format", "json", typed="# nothing\n")

    assert (result.exit_code, json.loads(result.stdout)) == (0, [])


@pytest.mark.parametrize(
    "arguments", [["submit"], ["submit", ONE, "--file", "-"], ["submit", ONE, "--priority", "101"]]
)
def test_submit_called_wrongly_is_a_usage_error(command_line: CommandLine, arguments: list[str]) -> None:
    assert command_line.run(*arguments).exit_code == 2


# --- status ---


def test_status_shows_counts_breakers_with_what_to_do_and_the_most_urgent_videos(
    command_line: CommandLine, workplace: Workplace
) -> None:
    one, two, three = submitted(command_line, ONE, TWO, THREE)
    fail(workplace, one, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError("401"))
    start(workplace, two, PipelineStep.TRANSCRIPT)

    told = command_line.run("status").stdout

    assert "3 videos in the queue" in told
    assert "OPENAI_API_KEY" in told
    assert "madvision requeue --cause api_key_invalid" in told
    assert told.rindex(two) < told.rindex(three) < told.rindex(one)
    assert three not in command_line.run("status", "--status", "running").stdout
    assert three not in command_line.run("status", "--cause", "api_key_invalid").stdout
    assert "1 of 3 videos" in command_line.run("status", "--limit", "1").stdout


def test_status_for_a_program_holds_the_same(command_line: CommandLine, workplace: Workplace) -> None:
    one, two = submitted(command_line, ONE, TWO)
    fail(workplace, one, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError("401"))

    told = json.loads(command_line.run("status", "--format", "json").stdout)

    assert {each["failure_cause"]: each["count"] for each in told["counts"]} == {None: 1, "api_key_invalid": 1}
    assert [each["name"] for each in told["breakers"]] == ["analyst"]
    assert [each["video_id"] for each in told["videos"]] == [two, one]


def test_status_of_a_video_by_id_or_token_tells_its_history_and_what_went_wrong(
    command_line: CommandLine, workplace: Workplace
) -> None:
    video_id, _, token = command_line.run("submit", ONE).stdout.split()
    fail(workplace, video_id, PipelineStep.RAW_VIDEO, PrivateVideoError("members only"))

    by_id, by_token = command_line.run("status", video_id), command_line.run("status", token)

    assert by_id.exit_code == by_token.exit_code == 0
    for told in (by_id.stdout, by_token.stdout):
        assert str(PrivateVideoError("members only")) in told
        assert ONE in told
        assert token not in told
    (attempt,) = json.loads(command_line.run("status", video_id, "--format", "json").stdout)["attempts"]
    assert (attempt["status"], attempt["failure_cause"]) == ("failed", "private_video")


def test_status_leads_to_the_runs_in_dagster_where_one_knows_where_it_is(
    command_line: CommandLine, workplace: Workplace
) -> None:
    (video_id,) = submitted(command_line, ONE)
    queue, run_id = Queue(workplace.database), str(uuid.uuid4())
    queue.begin(video_id, run_id, None, PipelineStep.RAW_VIDEO)
    with_ui = CommandLine(command_line.home, {"MADVISION_DAGSTER_URL": "https://dagster.example.org/"})

    run_url = f"https://dagster.example.org/runs/{run_id}"
    assert f"In Dagster: {run_url}\n" in with_ui.run("status", video_id).stdout
    told = json.loads(with_ui.run("status", video_id, "--format", "json").stdout)
    assert (told["run_url"], [each["run_url"] for each in told["attempts"]]) == (run_url, [run_url])
    assert "In Dagster" not in command_line.run("status", video_id).stdout
    assert json.loads(command_line.run("status", video_id, "--format", "json").stdout)["run_url"] is None


def test_status_of_nobody_is_a_sentence(command_line: CommandLine) -> None:
    result = command_line.run("status", "nobody")

    assert result.exit_code == 1
    assert "unknown_video" in result.stderr


def test_status_of_an_empty_queue_says_how_to_fill_it(command_line: CommandLine) -> None:
    assert "madvision submit" in command_line.run("status").stdout


@pytest.mark.parametrize("width", [40, 80, 200])
def test_ids_and_commands_are_whole_on_every_terminal_and_foreign_words_command_none(
    command_line: CommandLine, workplace: Workplace, width: int
) -> None:
    (video_id,) = submitted(command_line, "https://www.youtube.com/watch?v=dQw4w9WgXcQ")
    fail(workplace, video_id, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError("[bold]\x1b[2J"))
    console = Console(width=width, record=True, markup=False, emoji=False, highlight=False)

    look_at_queue(Operations(workplace.database), None, None, 20).show(console)
    look_at_video(workplace.database, video_id).show(console)

    told = console.export_text()
    assert told.count(video_id) >= 2
    assert "madvision requeue --cause api_key_invalid" in told
    assert "[bold]" in told
    assert "\x1b" not in told


# --- requeue ---


def test_requeueing_a_cause_says_how_many_and_closes_its_breaker(
    command_line: CommandLine, workplace: Workplace
) -> None:
    one, two = submitted(command_line, ONE, TWO)
    fail(workplace, one, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError("401"))

    result = command_line.run("requeue", "--cause", "api_key_invalid")

    assert (result.exit_code, result.stdout) == (0, "1 video queued again that api_key_invalid held up.\n")
    assert Operations(workplace.database).open_breakers() == []
    assert [status_of(workplace, each) for each in (one, two)] == ["queued", "queued"]
    assert "holds up no video" in command_line.run("requeue", "--cause", "api_key_invalid").stdout


def test_a_cause_that_is_none_is_a_usage_error_that_lists_those_that_occur(
    command_line: CommandLine, workplace: Workplace
) -> None:
    (one,) = submitted(command_line, ONE)
    fail(workplace, one, PipelineStep.RAW_VIDEO, PrivateVideoError())

    result = command_line.run("requeue", "--cause", "privat_video")

    assert result.exit_code == 2
    assert "private_video" in result.stderr


def test_videos_are_requeued_by_id_from_a_step_and_running_ones_are_left_alone(
    command_line: CommandLine, workplace: Workplace
) -> None:
    one, two, three = submitted(command_line, ONE, TWO, THREE)
    fail(workplace, one, PipelineStep.RAW_VIDEO, PrivateVideoError())
    start(workplace, two)

    result = command_line.run("requeue", "--video", "-", "--video", three, "--from", "clips", typed=f"{one}\n{two}\n\n")

    assert (result.exit_code, result.stdout) == (0, "2 videos queued again.\n")
    assert "left alone: 1 video" in result.stderr
    row = Queue(workplace.database).get(one)
    assert row is not None
    assert (row.status, row.from_step) == ("queued", "clips")
    assert status_of(workplace, two) == "running"


@pytest.mark.parametrize(
    "arguments", [[], ["--cause", "unexpected", "--video", "web-x"], ["--video", "x", "--from", "y"]]
)
def test_requeue_called_wrongly_is_a_usage_error(command_line: CommandLine, arguments: list[str]) -> None:
    assert command_line.run("requeue", *arguments).exit_code == 2


def test_requeueing_a_video_that_nobody_knows_requeues_none(command_line: CommandLine, workplace: Workplace) -> None:
    (one,) = submitted(command_line, ONE)
    fail(workplace, one, PipelineStep.RAW_VIDEO, PrivateVideoError())

    for unknown in ("web-nobody", "../etc"):
        result = command_line.run("requeue", "--video", one, "--video", unknown)
        assert result.exit_code == 1
        assert unknown in result.stderr
    assert status_of(workplace, one) == "failed"


# --- forget ---


def keep(workplace: Workplace, video_id: str) -> list[Path]:
    """Objects, scratch files and a partition of a video; gives the files."""
    keys = [f"{folder}/{video_id}/{name}" for folder in (*PipelineStep, "media") for name in ("a.json", "current.json")]
    for key in keys:
        workplace.store.put_bytes(key, b"12345")
    scratch = workplace.settings.work_folder / video_id / "raw_video" / "part"
    scratch.parent.mkdir(parents=True)
    scratch.touch()
    with open_instance(workplace.dagster_folder, None) as instance:
        add_partition(instance, video_id)
    return [*(path for key in keys if (path := workplace.store.local_path(key))), scratch]


def partitions(workplace: Workplace) -> list[str]:
    with dg.DagsterInstance.from_config(str(workplace.dagster_folder)) as instance:
        return list(instance.get_dynamic_partitions(str(videos.name)))


# --- cancel ---


def test_what_waits_or_is_being_processed_is_stopped_and_can_be_requeued_and_what_is_over_is_told(
    command_line: CommandLine, workplace: Workplace
) -> None:
    queued, running, over = submitted(command_line, ONE, TWO, THREE)
    lease = start(workplace, running, PipelineStep.TRANSCRIPT)
    fail(workplace, over, PipelineStep.RAW_VIDEO, PrivateVideoError())

    result = command_line.run("cancel", queued, running, over)

    assert result.stdout == "2 videos stopped.\n"
    assert f"Over already, or never queued: {over}" in result.stderr
    for video_id, step in ((queued, PipelineStep.RAW_VIDEO), (running, PipelineStep.TRANSCRIPT)):
        row = Queue(workplace.database).get(video_id)
        assert row is not None
        assert (row.status.value, row.failure_cause, row.pipeline_step) == ("failed", "cancelled", step)
    assert not Queue(workplace.database).beat(lease), "whoever was at work has no lease any more"
    command_line.run("requeue", "--video", running)
    assert status_of(workplace, running) == "queued"


def test_forgetting_asks_with_what_goes_and_leaves_nothing_of_the_video_and_all_of_others(
    command_line: CommandLine, workplace: Workplace
) -> None:
    one, two = submitted(command_line, ONE, TWO)
    gone, kept = keep(workplace, one), keep(workplace, two)

    refused = command_line.run("forget", one, typed="n\n")
    assert refused.exit_code == 1
    assert "12 objects (60 bytes), 3 rows, 1 token" in refused.stdout
    assert all(path.exists() for path in gone)

    agreed = command_line.run("forget", one, typed="y\n")
    assert agreed.exit_code == 0, agreed.output
    assert "1 video forgotten: 12 objects (60 bytes)." in agreed.stdout
    assert not any(path.exists() or path.parent.exists() for path in gone)
    assert all(path.exists() for path in kept)
    assert partitions(workplace) == [two]
    assert command_line.run("status", one).exit_code == 1
    assert status_of(workplace, two) == "queued"


def test_forgetting_names_the_other_cuts_of_a_video_and_takes_them_where_it_is_told_to(
    command_line: CommandLine, workplace: Workplace
) -> None:
    (one,) = submitted(command_line, ONE)
    cuts = [workplace.register(ONE, Options(max_clips=count)).video_id for count in (2, 3)]

    told = command_line.run("forget", cuts[0], "--yes", "--format", "json")
    kept = command_line.run("forget", ONE, typed="n\n")
    gone = command_line.run("forget", ONE, "--all-cuts", "--yes", "--format", "json")

    assert json.loads(told.stdout)["other_cuts"] == sorted([one, cuts[1]])
    assert cuts[1] in kept.stderr
    assert "--all-cuts" in kept.stderr
    assert (json.loads(gone.stdout)["forgotten"]["videos"], json.loads(gone.stdout)["other_cuts"]) == (2, [])
    assert workplace.database.cuts_of(one) == []


def test_forgetting_takes_a_video_under_its_old_id_too_and_all_cuts_where_none_is_the_usual_one(
    command_line: CommandLine, workplace: Workplace
) -> None:
    workplace.add("mdr-100", ONE)
    cuts = [workplace.register(ONE, Options(max_clips=count)).video_id for count in (2, 3)]

    refused = command_line.run("forget", ONE, "--yes")
    kept = command_line.run("forget", cuts[0], typed="n\n")
    gone = command_line.run("forget", ONE, "--all-cuts", "--yes", "--format", "json")

    assert "Name one of them" in refused.stderr
    assert "mdr-100" in kept.stderr
    assert json.loads(gone.stdout)["forgotten"]["videos"] == 3
    assert workplace.database.ids_at(ONE) == []


def test_a_running_video_is_not_forgotten_and_the_others_are(command_line: CommandLine, workplace: Workplace) -> None:
    one, two = submitted(command_line, ONE, TWO)
    files = keep(workplace, one)
    start(workplace, one)

    result = command_line.run("forget", "-", "--yes", typed=f"{one}\n{two}\nweb-nobody\n")

    assert result.exit_code == 1
    assert "1 video forgotten" in result.stdout
    assert one in result.stderr
    assert "web-nobody" in result.stderr
    assert all(path.exists() for path in files)
    assert status_of(workplace, two) is None


def test_a_video_that_starts_while_the_operator_is_asked_keeps_all_it_has_and_is_named(
    command_line: CommandLine, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = submitted(command_line, ONE, TWO)
    files = keep(workplace, one)

    def confirm(*_: object, **__: object) -> bool:
        start(workplace, one)
        return True

    monkeypatch.setattr(click, "confirm", confirm)
    result = command_line.run("forget", one, two)

    assert result.exit_code == 1
    assert "1 video forgotten: 0 objects" in result.stdout
    assert one in result.stderr
    assert two not in result.stderr
    assert all(path.exists() for path in files)
    assert partitions(workplace) == [one]
    assert [status_of(workplace, each) for each in (one, two)] == ["running", None]


def test_a_video_that_a_run_is_about_of_which_the_queue_has_not_heard_is_not_forgotten(
    command_line: CommandLine, workplace: Workplace
) -> None:
    (one,) = submitted(command_line, ONE)
    files = keep(workplace, one)
    with open_instance(workplace.dagster_folder, None) as instance:
        tags = {"dagster/partition": one}
        run = create_run_for_test(instance, "by_hand", tags=tags, status=dg.DagsterRunStatus.STARTING)
        result = command_line.run("forget", one, "--yes")
        instance.report_run_failed(run)

    assert result.exit_code == 1
    assert "0 videos forgotten" in result.stdout
    assert one in result.stderr
    assert all(path.exists() for path in files)
    assert command_line.run("forget", one, "--yes").exit_code == 0


def test_a_forgetting_that_was_broken_off_before_the_rows_can_be_run_again(
    command_line: CommandLine, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = submitted(command_line, ONE)
    keep(workplace, one)

    def broken(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Held, "delete_rows", broken)
        result = command_line.run("forget", one, "--yes")
    assert result.exit_code == 130
    assert "0 videos forgotten" in result.stdout
    assert status_of(workplace, one) == "queued"

    assert command_line.run("forget", one, "--yes").exit_code == 0
    assert status_of(workplace, one) is None


def test_objects_without_rows_are_forgotten_too(command_line: CommandLine, workplace: Workplace) -> None:
    files = keep(workplace, "web-orphan")

    assert "1 video forgotten" in command_line.run("forget", "web-orphan", "--yes").stdout
    assert not any(path.exists() for path in files)


def test_forgetting_nobody_is_a_sentence_and_stdin_cannot_answer(command_line: CommandLine) -> None:
    for unknown in ("web-nobody", "../../etc"):
        result = command_line.run("forget", unknown, "--yes")
        assert result.exit_code == 1
        assert "unknown_video" in result.stderr
    assert command_line.run("forget", "-", typed="web-x\n").exit_code == 2


# --- doctor ---


def test_doctor_tells_open_breakers_and_a_sensor_that_stands_still_as_warnings(
    command_line: CommandLine, workplace: Workplace
) -> None:
    assert "queue sensor" not in command_line.run("doctor").stdout, "nobody used the queue"
    (one,) = submitted(command_line, ONE)
    fail(workplace, one, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError("401"))

    result = command_line.run("doctor")

    assert result.exit_code == 0
    assert "Ready." in result.stdout
    assert "breaker analyst" in result.stdout
    assert "madvision requeue --cause api_key_invalid" in result.stdout
    assert "never gave a sign of life" in result.stdout
    with workplace.database.writing() as connection:
        connection.execute(heartbeats.insert().values(name="queue_sensor", beat_at=datetime.now(UTC)))
    assert "queue sensor" not in command_line.run("doctor").stdout
    with workplace.database.writing() as connection:
        connection.execute(heartbeats.update().values(beat_at=datetime.now(UTC) - timedelta(minutes=5)))
    assert "last sign of life was 5 min ago" in command_line.run("doctor").stdout
