"""Claims about what programs read: each command's one JSON document, and names that come on standard input."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from madvision_assets.command.main import main
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.queue import Queue
from madvision_assets_tests import stores
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.databases import made

ONE, TWO = "https://example.org/one.mp4", "https://example.org/two.mp4"
NOBODY = "web-nobody"
STORE = "STORE"  # the address of this workplace's
# Commands without --format json, each with its why.
WITHOUT = {
    "code-server": "works until it is stopped",
    "consume": "works until it is stopped",
    "daemon": "works until it is stopped",
    "keep": "works until it is stopped",
    "serve": "works until it is stopped",
    "mcp": "speaks its protocol there",
    "labels": "what it writes is JSON",
    "transcript export": "--format is that of the file",
    "transcript import": "--format is that of the file",
}
# How each of the others is called, and what it ends with.
CALLED: dict[str, tuple[tuple[str, ...], int]] = {
    "archive": (("--older-than", "1d", "--dry-run"), 0),
    "cancel": ((ONE,), 0),
    "catalogue": ((), 0),
    "clips": ((ONE, "--to", "clips"), 1),
    "cost estimate": (("--hours-per-day", "1"), 0),
    "doctor": ((), 0),
    "edit": ((ONE,), 1),
    "evaluate": (("no-such-set.json",), 2),
    "forget": ((TWO, "--yes"), 0),
    "lineage": ((ONE,), 0),
    "migrate": ((), 0),
    "pools": ((), 0),
    "pools set": (("gpu", "1"), 0),
    "process": (("no-such-file.mp4",), 2),
    "query": (("SELECT 1 AS one",), 0),
    "reindex": ((), 0),
    "requeue": (("--video", ONE), 0),
    "search": (("walrus",), 0),
    "stale": ((), 0),
    "status": ((NOBODY,), 1),
    "store copy": (("file:///dev/null/a", "file:///dev/null/b"), 1),
    "store list": ((STORE,), 0),
    "store prune": ((STORE, "--keep", "1"), 0),
    "store rebuild-lineage": ((), 0),
    "store verify": ((), 0),
    "submit": ((ONE,), 0),
}


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """All that can be called, by the words that call them."""
    for name, each in group.commands.items():
        if isinstance(each, click.Group):
            yield from commands(each, (*path, name))
        if not isinstance(each, click.Group) or each.invoke_without_command:
            yield " ".join((*path, name)), each


def test_every_command_tells_programs_too_or_has_its_why() -> None:
    forms = {name: {each.name: each.type for each in command.params}.get("form") for name, command in commands()}
    telling = {name for name, kind in forms.items() if isinstance(kind, click.Choice) and "json" in kind.choices}

    assert forms.keys() - telling == WITHOUT.keys()
    assert telling == CALLED.keys()


@pytest.fixture(scope="module")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    command_line = CommandLine(tmp_path_factory.mktemp("forms") / "home")
    assert command_line.run("submit", ONE, TWO).exit_code == 0
    return command_line


@pytest.mark.parametrize("name", CALLED)
def test_a_program_reads_one_document_and_a_failure_in_its_place(command_line: CommandLine, name: str) -> None:
    told, code = CALLED[name]
    arguments = [(command_line.home / "store").as_uri() if each == STORE else each for each in told]

    result = command_line.run(*name.split(), *arguments, "--format", "json")
    broken = CommandLine(command_line.home, {"MADVISION_MAX_BYTES": "many"})
    refused = broken.run(*name.split(), *arguments, "--format", "json")

    answer = json.loads(result.stdout)
    assert result.exit_code == code, result.output
    assert (code != 0) == (isinstance(answer, dict) and "failure" in answer)
    for ended in (result, refused):
        if ended.exit_code:
            failure = json.loads(ended.stdout)["failure"]
            assert failure["cause"]
            assert " ".join(failure["sentence"].split()) in " ".join(ended.stderr.split())
    assert refused.exit_code != 0


def test_what_asks_a_person_asks_no_program(command_line: CommandLine) -> None:
    for arguments in (("forget", ONE), ("archive", "--older-than", "1d")):
        result = command_line.run(*arguments, "--format", "json")
        assert (result.exit_code, json.loads(result.stdout)["failure"]["cause"]) == (2, "usage")


# --- names on standard input ---


@pytest.fixture
def place(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


def spelt(place: CommandLine) -> tuple[str, list[str]]:
    """Three videos, each named in its own way, a line each; and their IDs."""
    receipts = json.loads(place.run("submit", ONE, TWO, "https://example.org/three.mp4", "--format", "json").stdout)
    ids = [each["video_id"] for each in receipts]
    return f"{ids[0]}.01\r\n\n# a comment\n{receipts[1]['token']}\nhttps://example.org/three.mp4\n{ids[0]}\n", ids


@pytest.mark.parametrize("command", ["status", "cancel", "requeue", "forget", "lineage", "stale"])
def test_videos_are_named_on_standard_input_in_any_way(place: CommandLine, command: str) -> None:
    typed, ids = spelt(place)
    if command == "lineage":
        typed = typed.replace(".01", "")
    how = {"requeue": ["--video", "-"], "forget": ["-", "--yes"]}.get(command, ["-"])

    result = place.run(command, *how, "--format", "json", typed=typed)

    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    counted: dict[str, Any] = {
        "status": lambda: [each["video_id"] for each in told],
        "lineage": lambda: [each["video_id"] for each in told][:3],
        "cancel": lambda: told["stopped"],
        "requeue": lambda: told["queued"],
        "forget": lambda: told["forgotten"]["videos"],
        "stale": lambda: told["not_found"],
    }
    expected = {"cancel": sorted(ids), "requeue": 3, "forget": 3, "stale": []}.get(command, ids)
    assert counted[command]() == expected


def test_nothing_on_standard_input_is_nothing(place: CommandLine) -> None:
    for command in ("status", "lineage", "submit", "process"):
        result = place.run(command, "-", "--format", "json", typed="# nothing\n\n")
        assert (result.exit_code, json.loads(result.stdout)) == (0, []), command


def test_submit_takes_addresses_from_standard_input_beside_those_that_were_typed(place: CommandLine) -> None:
    result = place.run("submit", ONE, "-", "--format", "json", typed=f"{TWO}\nftp://x/y\n")

    assert result.exit_code == 1
    assert len(json.loads(result.stdout)) == 2
    assert "line 2:" in result.stderr


@pytest.mark.whole
def test_of_several_videos_to_process_one_that_fails_does_not_end_the_others(
    place: CommandLine, tmp_path: Path
) -> None:
    files = [tmp_path / f"{name}.mp4" for name in ("one", "two")]
    for file in files:
        file.write_bytes(file.name.encode())

    result = place.run("process", "-", "--format", "json", typed=f"{files[0]}\n/no/such.mp4\n{files[1]}\n")

    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [each["failure"]["cause"] for each in told] == ["not_media", "not_media"]
    assert [each["failure"]["step"] for each in told] == ["raw_video", "raw_video"]
    assert len({each["video_id"] for each in told}) == 2
    assert "line 2:" in result.stderr
    assert "raw_video failed (not_media):" in result.stderr


# --- several at once, of which some lead nowhere ---


@pytest.fixture
def two_and_nobody(place: CommandLine) -> list[str]:
    """A video with lineage, one that is archived, and a name that leads nowhere."""
    workplace = place.workplace()
    raw = stores.raw_video()
    workplace.database.add_video(raw.video_id, ONE)
    workplace.database.add_lineage(stores.sealed(raw), "there")
    old = json.loads(place.run("submit", TWO, "--format", "json").stdout)[0]["video_id"]
    queue = Queue(workplace.database)
    queue.begin(old, "run", None, PipelineStep.RAW_VIDEO)
    queue.cancel(old)
    return [raw.video_id, NOBODY, old]


def test_lineage_of_several_tells_each_and_what_leads_nowhere_ends_none(
    place: CommandLine, two_and_nobody: list[str]
) -> None:
    first, nobody, last = two_and_nobody

    told = json.loads((result := place.run("lineage", *two_and_nobody, "--format", "json")).stdout)
    tree, table, csv = (place.run("lineage", *two_and_nobody, "--format", form) for form in ("tree", "table", "csv"))

    assert [each.exit_code for each in (result, tree, table, csv)] == [1, 1, 1, 1]
    assert [each.get("video_id") for each in told] == [first, None, last]
    assert (told[1]["name"], told[1]["failure"]["cause"]) == (nobody, "unknown_video")
    assert [len(each["materialisations"]) for each in (told[0], told[2])] == [1, 0]
    for each in (tree, table, csv):
        assert f"{nobody}: Nobody submitted" in each.stderr
    assert first in tree.stdout
    assert last in tree.stdout
    assert [line.split()[0] for line in table.stdout.splitlines()] == ["video_id", first]
    assert csv.stdout.count("video_id") == 1
    assert place.run("lineage", first, last, "--format", "mermaid").exit_code == 2


@pytest.mark.parametrize("spelling", ["id", "clip", "address"])
def test_of_a_forgotten_video_is_told_when_it_was_forgotten_until_it_is_submitted_again(
    place: CommandLine, spelling: str
) -> None:
    (receipt,) = json.loads(place.run("submit", ONE, "--format", "json").stdout)
    names = {"id": receipt["video_id"], "clip": f"{receipt['video_id']}.01", "address": ONE}
    place.run("forget", ONE, "--yes")

    calls = [("status",), ("lineage",), ("forget", "--yes"), ("requeue", "--video"), ("lineage", NOBODY)]
    ended = [place.run(*call, names[spelling], "--format", "json") for call in calls]
    several = json.loads(ended[-1].stdout)

    assert [each.exit_code for each in ended] == [1] * len(calls)
    for told in (*(json.loads(each.stdout) for each in ended[:-1]), several[1]):
        assert told["failure"]["cause"] == "forgotten_video"
        assert "forgotten on 2" in told["failure"]["sentence"]
    assert several[0]["failure"]["cause"] == "unknown_video"
    assert "Nobody submitted" in place.run("status", "-", typed=receipt["token"]).stderr
    assert place.run("submit", ONE, "--max-clips", "3").exit_code == 0
    assert place.run("submit", ONE).exit_code == 0
    fresh = json.loads(place.run("status", receipt["video_id"], "--format", "json").stdout)
    assert (fresh["queue"]["status"], fresh["attempts"]) == ("queued", [])


def test_status_of_several_tells_those_that_there_are(place: CommandLine, two_and_nobody: list[str]) -> None:
    result = place.run("status", *two_and_nobody, "--format", "json")

    assert result.exit_code == 1
    assert [each.get("video_id") for each in json.loads(result.stdout)] == [two_and_nobody[0], None, two_and_nobody[2]]


def test_stale_of_some_videos_tells_only_these(place: CommandLine) -> None:
    workplace = place.workplace()
    ids = []
    for address in (ONE, TWO):
        (receipt,) = json.loads(place.run("submit", address, "--format", "json").stdout)
        ids.append(receipt["video_id"])
        lease = Queue(workplace.database).begin(ids[-1], f"run-{ids[-1]}", None, PipelineStep.RAW_VIDEO)
        raw = stores.raw_video().model_copy(update={"video_id": ids[-1]})
        workplace.database.add_lineage(stores.sealed(raw, run_id=lease.run_id), "there")
        Queue(workplace.database).finish_step(
            ids[-1], lease.run_id, PipelineStep.RAW_VIDEO, ends=True, made=made(ids[-1])
        )

    every = json.loads(place.run("stale", "--code", "--format", "json").stdout)
    one = place.run("stale", NOBODY, ids[1], "--code", "--format", "json")

    assert [each["video_id"] for each in every["stale"]] == sorted(ids)
    told = json.loads(one.stdout)
    assert one.exit_code == 1
    assert [each["video_id"] for each in told["stale"]] == [ids[1]]
    assert [each["name"] for each in told["not_found"]] == [NOBODY]


@pytest.mark.parametrize(
    ("path", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_help_of_each_command_fits_into_80_columns_and_shows_no_mark_of_its_layout(
    path: str, command: click.Command
) -> None:
    told = command.get_help(click.Context(command, info_name=path, terminal_width=80))

    assert "\\b" not in told
    assert max(map(len, told.splitlines())) <= 80
