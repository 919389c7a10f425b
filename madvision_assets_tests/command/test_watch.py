"""Claims about following videos, naming them for good, and a help that says whole sentences."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from rich.console import Console

from madvision_assets.command.main import Workplace
from madvision_assets.command.watch import watch
from madvision_assets.domain.failures import PrivateVideoError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Options
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.databases import run_all

ONE, TWO = "https://example.org/one.mp4", "https://example.org/two.mp4"


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


@pytest.fixture
def workplace(command_line: CommandLine) -> Workplace:
    return command_line.workplace()


def submitted(command_line: CommandLine, *addresses: str) -> list[dict[str, str]]:
    receipts: list[dict[str, str]] = json.loads(command_line.run("submit", *addresses, "--format", "json").stdout)
    return receipts


def fail(workplace: Workplace, video_id: str) -> None:
    queue = Queue(workplace.database)
    lease = queue.begin(video_id, "run-1", None, PipelineStep.RAW_VIDEO)
    queue.fail(video_id, "run-1", lease.attempt, PipelineStep.RAW_VIDEO, PrivateVideoError("no"))


def finish(workplace: Workplace, video_id: str) -> None:
    run_all(Queue(workplace.database), "run-2", None, *PipelineStep, video_id=video_id)


def test_watching_ends_when_all_are_over_and_tells_each_change_once(
    command_line: CommandLine, workplace: Workplace
) -> None:
    first, second = submitted(command_line, ONE, TWO)
    queue = Queue(workplace.database)
    acts: list[Callable[[], object]] = [
        lambda: None,
        lambda: queue.begin(first["video_id"], "run-2", None, PipelineStep.RAW_VIDEO),
        lambda: finish(workplace, first["video_id"]),
        lambda: fail(workplace, second["video_id"]),
    ]
    looks = iter(acts)

    def look() -> Mapping[str, QueueRow | None]:
        next(looks)()
        return {each["video_id"]: queue.get(each["video_id"]) for each in (first, second)}

    with (command_line.home / "said").open("w+") as file:
        all_done = watch(look, Console(file=file, width=200), every_s=0)
        file.seek(0)
        lines = [line.split()[:2] for line in file.read().splitlines()]

    assert not all_done
    assert next(looks, None) is None, "it ended when both were over, not before and not later"
    assert lines == [
        [first["video_id"], "queued"],
        [second["video_id"], "queued"],
        [first["video_id"], "running"],
        [first["video_id"], "done"],
        [second["video_id"], "failed"],
    ]


def test_the_exit_code_says_whether_all_that_was_watched_is_done(
    command_line: CommandLine, workplace: Workplace
) -> None:
    first, second = submitted(command_line, ONE, TWO)
    finish(workplace, first["video_id"])
    fail(workplace, second["video_id"])

    done = command_line.run("status", "--watch", first["token"])
    both = command_line.run("status", "--watch", ONE, second["video_id"])
    listed = command_line.run("status", "--watch", "--status", "failed")

    assert (done.exit_code, both.exit_code, listed.exit_code) == (0, 1, 1)
    assert done.stdout.split()[:2] == [first["video_id"], "done"]
    assert len(both.stdout.splitlines()) == 2
    assert command_line.run("status", "--watch", ONE, "--format", "json").exit_code == 2


def test_it_waits_for_a_video_that_another_process_is_at(command_line: CommandLine, workplace: Workplace) -> None:
    (receipt,) = submitted(command_line, ONE)
    worker = threading.Timer(0.5, finish, (workplace, receipt["video_id"]))
    worker.start()

    watched = command_line.run("status", "--watch", receipt["token"])
    worker.join()

    assert watched.exit_code == 0
    assert watched.stdout.splitlines()[-1].split()[:2] == [receipt["video_id"], "done"]


def test_several_videos_are_told_as_a_list(command_line: CommandLine) -> None:
    receipts = submitted(command_line, ONE, TWO)

    told = json.loads(command_line.run("status", ONE, receipts[1]["token"], "--format", "json").stdout)

    assert [each["video_id"] for each in told] == [each["video_id"] for each in receipts]


@pytest.mark.parametrize("spelling", ["video_id", "token", "address", "clip"])
def test_a_video_is_forgotten_by_any_of_its_names(command_line: CommandLine, spelling: str) -> None:
    (receipt,) = submitted(command_line, ONE)
    names = {**receipt, "address": ONE, "clip": f"{receipt['video_id']}.01"}

    result = command_line.run("forget", names[spelling], "--yes")

    assert result.exit_code == 0, result.output
    assert "1 video forgotten" in result.output
    assert command_line.run("status", receipt["video_id"]).exit_code == 1


def test_a_video_whose_id_was_told_by_another_rule_is_found_by_its_address_and_its_old_id(
    command_line: CommandLine, workplace: Workplace
) -> None:
    address = "https://www.mdr.de/nachrichten/sachsen/video-einbruch-100.html"
    workplace.add("mdr-100", address)
    cut = workplace.add("mdr-100", address, Options(max_clips=2)).video_id

    assert json.loads(command_line.run("status", address, "--format", "json").stdout)["video_id"] == "mdr-100"
    assert json.loads(command_line.run("status", "mdr-100", "--format", "json").stdout)["video_id"] == "mdr-100"
    assert json.loads(command_line.run("status", cut, "--format", "json").stdout)["video_id"] == cut


@pytest.mark.parametrize("group", [(), ("store",), ("cost",), ("pools",), ("transcript",)])
def test_the_help_cuts_no_sentence_off_and_fits_into_80_columns(
    command_line: CommandLine, group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    told = command_line.run(*group, "--help").output

    assert not [line for line in told.splitlines() if line.endswith("...") and not line.startswith("Usage")]
    assert max(map(len, told.splitlines())) <= 80


def test_the_doctor_tells_programs_too(command_line: CommandLine) -> None:
    result = command_line.run("doctor", "--format", "json")

    told = json.loads(result.stdout)
    assert told["ready"] is (result.exit_code == 0)
    assert {"part", "health", "found", "remedy"} <= told["findings"][0].keys()
