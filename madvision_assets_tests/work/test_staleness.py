"""What would come out otherwise today, and what is done about it: over real rows of the lineage."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from madvision_assets.domain.failures import PolicyRefusalError
from madvision_assets.domain.paying import Came, Planned
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.analyst.openai_analyst import ASKED, OpenAIAnalyst, prompt_hash
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.tables import breakers, lineage, processing_attempts, video_processing_queue
from madvision_assets.work import staleness
from madvision_assets.work.ledger import Ledger
from madvision_assets.work.staleness import REDO_PRIORITY, Upgrader, changed_since, code_versions, find, provisional
from madvision_assets_tests.command_line import CommandLine

MADE_AT = datetime(2026, 11, 27, tzinfo=UTC)
OPENAI = OpenAIAnalyst("sk-test")
queue = video_processing_queue


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / ".madvision")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    home = tmp_path / ".madvision"
    home.mkdir()
    new = Database(f"sqlite:///{home / 'madvision.db'}")
    new.migrate()
    yield new
    new.engine.dispose()


def done(database: Database, video_id: str, *, status: str = "done", **changes: Mapping[str, object]) -> None:
    """A video that is done, all its stages made as they are made today but for the changes, by stage."""
    database.add_video(video_id, f"https://example.com/{video_id}")
    versions = code_versions(OPENAI)
    with database.writing() as connection:
        for step in PipelineStep:
            asks = step.value in ASKED
            row = {
                "engine": "openai" if asks else "other",
                "model": "gpt-4o-2024-11-20" if asks else "tiny.en@sha256:1a5afae06a4db91c",
                "prompt_hash": prompt_hash(step.value) if asks else None,
                "code_version": versions[step],
                "cost_usd": 0.25 if asks else 0.0,
                **changes.get(step.value, {}),
            }
            same: dict[str, object] = {
                "run_id": "r",
                "data_version": "d",
                "uri": "u",
                "inputs": [],
                "engine_version": "1",
            }
            same |= {"parameters": {}, "usage": {}, "wall_s": 2.0, "created_at": MADE_AT}
            connection.execute(lineage.insert().values(video_id=video_id, asset=step.value, **same, **row))
    Operations(database).restart(video_id)
    with database.writing() as connection:
        update = queue.update().where(queue.c.video_id == video_id)
        for each in ("running", status):
            connection.execute(update.values(status=each, outcome="clips"))


def named(database: Database, reason: staleness.Reason) -> dict[str, str]:
    return {stale.video_id: stale.step.value for stale in find(database, reason)}


def test_what_is_made_as_today_is_not_stale(database: Database) -> None:
    done(database, "web-fresh")

    assert named(database, changed_since(code_versions(OPENAI))) == {}


def test_what_another_analyst_or_prompt_or_code_made_is_stale_from_its_first_stage_on(database: Database) -> None:
    done(database, "web-fresh")
    done(database, "web-code", transcript={"code_version": "0"})
    done(database, "web-kind", content_type={"code_version": "1-00000000"}, clip_candidates={"code_version": "2-0"})
    done(database, "web-moments", clip_candidates={"code_version": "2-00000000"})
    done(database, "web-runs", status="queued", clip_candidates={"code_version": "2-00000000"})

    expected = {"web-code": "transcript", "web-kind": "content_type", "web-moments": "clip_candidates"}
    assert named(database, changed_since(code_versions(OPENAI))) == expected
    assert named(database, staleness.changed_code) == {"web-code": "transcript"}


def test_what_is_stale_tells_what_it_cost_with_all_that_is_made_from_it(database: Database) -> None:
    done(database, "web-code", transcript={"code_version": "0"})
    [stale] = find(database, changed_since(code_versions(OPENAI)))

    assert (stale.cost_usd, stale.wall_s, stale.why) == (0.5, 8.0, "0 is 1 now")


def test_versions_follow_the_analyst_his_prompts_and_the_family_of_his_model() -> None:
    ours, mini, rules = (
        code_versions(each) for each in (OPENAI, OpenAIAnalyst("k", model="gpt-4o-mini"), OfflineAnalyst())
    )

    differing = [step for step in PipelineStep if len({ours[step], mini[step], rules[step]}) > 1]
    assert differing == [PipelineStep.CONTENT_TYPE, PipelineStep.CLIP_CANDIDATES]
    assert code_versions(OpenAIAnalyst("k", model="gpt-4o-2024-11-20")) == ours


def test_redoing_queues_each_from_its_stage_behind_all_that_is_new(database: Database) -> None:
    done(database, "web-code", transcript={"code_version": "0"})
    done(database, "web-moments", clip_candidates={"code_version": "2-00000000"})
    stale = list(find(database, changed_since(code_versions(OPENAI))))

    assert staleness.redo(database, stale) == 2
    rows = {row.video_id: row for row in Operations(database).rows()}
    assert {name: row.from_step for name, row in rows.items()} == {
        "web-code": PipelineStep.TRANSCRIPT,
        "web-moments": PipelineStep.CLIP_CANDIDATES,
    }
    assert {(row.status, row.priority) for row in rows.values()} == {(QueueStatus.QUEUED, REDO_PRIORITY)}


# --- by itself ---


def by_rules(database: Database, video_id: str) -> None:
    rules = {"engine": "offline", "prompt_hash": None, "model": None, "cost_usd": 0.0}
    done(database, video_id, content_type=rules, clip_candidates=rules)


def unasked(database: Database, video_id: str) -> None:
    """A video in which nobody speaks: the language model was asked nothing."""
    nothing = {"prompt_hash": None, "model": None, "cost_usd": 0.0}
    done(database, video_id, content_type=nothing, clip_candidates=nothing)


def test_what_was_provisional_is_redone_once_there_is_an_analyst_and_nothing_else_is(database: Database) -> None:
    by_rules(database, "web-rules")
    done(database, "web-old", content_type={"code_version": "1-00000000"})

    assert Upgrader(database, code_versions(OfflineAnalyst()), is_provisional=True, auto_redo=False).upgrade() == 0
    upgrader = Upgrader(database, code_versions(OPENAI), is_provisional=False, auto_redo=False)
    assert upgrader.upgrade() == 1
    assert named(database, provisional) == {}
    assert upgrader.upgrade() == 0


@pytest.mark.parametrize("refused", [False, True])
def test_what_was_redone_in_vain_is_redone_again_by_a_person_alone(database: Database, *, refused: bool) -> None:
    by_rules(database, "web-rules")
    tried = Queue(database)
    Operations(database).requeue(video_ids=["web-rules"], from_step=PipelineStep.CONTENT_TYPE)
    tried.begin("web-rules", "r", None, PipelineStep.CONTENT_TYPE)
    assert tried.fail("web-rules", "r", 1, PipelineStep.CONTENT_TYPE, PolicyRefusalError()) is QueueStatus.DONE
    with database.writing() as connection:  # as where a person's edit could not be kept
        connection.execute(processing_attempts.update().values(refused=refused))

    assert named(database, provisional) == {"web-rules": "content_type"}
    upgrader = Upgrader(database, code_versions(OPENAI), is_provisional=False, auto_redo=True)
    assert upgrader.upgrade() == int(refused)


def test_nothing_is_upgraded_while_the_analyst_is_away(database: Database) -> None:
    by_rules(database, "web-rules")
    with database.writing() as connection:
        connection.execute(breakers.insert().values(name="analyst", state="open", details="", failures=3, trips=1))

    assert Upgrader(database, code_versions(OPENAI), is_provisional=False, auto_redo=True).upgrade() == 0


def test_while_nobody_knows_whether_the_analyst_is_back_one_video_finds_out(database: Database) -> None:
    for name in ("web-a", "web-b", "web-c"):
        by_rules(database, name)
    books = Ledger(database)
    number = books.reserve(Planned("web-a", "content_type", "gpt-4o", "classify-2", 0.01, 60))
    books.settle(number, Came(cause="analyst_unavailable"))
    books.settle(books.reserve(Planned("web-d", "transcript", "whisper-1", "", 0.01, 60)), Came(cost_usd=0.01))
    assert Upgrader(database, code_versions(OPENAI), is_provisional=False, auto_redo=True).upgrade() == 1

    books.settle(books.reserve(Planned("web-a", "content_type", "gpt-4o", "classify-2", 0.01, 60)), Came(cost_usd=0.01))
    assert Upgrader(database, code_versions(OPENAI), is_provisional=False, auto_redo=False).upgrade() == 2


def test_all_that_is_stale_is_redone_by_itself_where_that_is_wanted(database: Database) -> None:
    done(database, "web-old", content_type={"code_version": "1-00000000"})

    assert Upgrader(database, code_versions(OPENAI), is_provisional=False, auto_redo=True).upgrade() == 1


# --- the command ---


def told(command_line: CommandLine, *arguments: str) -> dict[str, str]:
    result = command_line.run("stale", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return {row["video_id"]: row["from_step"] for row in json.loads(result.output)["stale"]}


def test_a_changed_prompt_names_what_was_asked_by_it_and_no_other(
    database: Database, command_line: CommandLine, tmp_path: Path
) -> None:
    done(database, "web-one")
    by_rules(database, "web-rules")
    unasked(database, "web-mute")
    prompts = files("madvision_assets.tools.analyst.prompts")
    for name, step in (("classify", "content_type"), ("propose", "clip_candidates"), ("rank", "clip_candidates")):
        changed = tmp_path / f"{name}.toml"
        same = prompts.joinpath(f"{name}.toml").read_text()
        changed.write_text(same)
        assert told(command_line, "--prompt", str(changed)) == {}
        changed.write_text(same.replace("video", "film"))
        assert told(command_line, "--prompt", str(changed)) == {"web-one": step}


def test_another_model_names_what_it_did_not_make(database: Database, command_line: CommandLine) -> None:
    done(database, "web-one")
    unasked(database, "web-mute")
    by_rules(database, "web-rules")

    assert told(command_line, "--model", "gpt-4o") == {"web-rules": "content_type"}
    with database.writing() as connection:
        connection.execute(lineage.delete().where(lineage.c.video_id == "web-rules"))
    assert told(command_line, "--model", "gpt-4o-mini") == {"web-one": "content_type"}
    assert told(command_line, "--model", "tiny.en") == {}
    assert told(command_line, "--model", "turbo") == {"web-one": "transcript", "web-mute": "transcript"}


def test_nothing_is_stale_for_want_of_the_key_that_only_the_pods_of_the_stages_have(
    database: Database, command_line: CommandLine
) -> None:
    done(database, "web-one")
    in_pods = {"MADVISION_EXECUTOR": "k8s", "MADVISION_GPU_IMAGE": "registry.example/gpu:1"}

    assert told(CommandLine(command_line.home, in_pods)) == {}
    assert told(command_line) == {"web-one": "content_type"}, "here rules would do the work"


@pytest.mark.parametrize(
    ("text", "told_of"), [("version = 1", "this is no prompt"), ('version = "x-1"\ntext = ""\ntask = ""', "classify")]
)
def test_a_file_that_is_no_prompt_is_told(command_line: CommandLine, tmp_path: Path, text: str, told_of: str) -> None:
    file = tmp_path / "odd.toml"
    file.write_text(text)
    result = command_line.run("stale", "--prompt", str(file))

    assert result.exit_code == 2
    assert told_of in result.output


def test_the_command_tells_the_cost_and_queues_only_when_asked(database: Database, command_line: CommandLine) -> None:
    done(database, "web-code", transcript={"code_version": "0"})

    assert "1 video: when they were made, they cost 0.5000 USD and 8 s." in command_line.run("stale", "--code").output
    assert "1 video queued again." in command_line.run("stale", "--code", "--redo").output
    assert "Nothing would come out otherwise." in command_line.run("stale", "--code").output
