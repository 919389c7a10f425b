"""Claims about the commands for whoever makes the system larger."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from madvision_assets.command.display_scale import estimate
from madvision_assets.command.workplace import Workplace
from madvision_assets.defs.launch import add_partition, open_instance
from madvision_assets.defs.partitions import videos
from madvision_assets.domain.costs import Plan
from madvision_assets.domain.prices import PRICES
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.sizing import Load
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.tables import lineage
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets.work.measured import measure
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.databases import KINDS, alter, new_database, submit, url_of
from madvision_assets_tests.stores import raw_video, sealed

NOW = datetime.now(UTC)


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


def told(command_line: CommandLine, *arguments: str) -> Any:
    result = command_line.run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# --- pools ---


def test_pools_are_shown_and_a_new_limit_is_there_the_next_time(command_line: CommandLine) -> None:
    result = command_line.run("pools", "set", "gpu", "3")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("gpu: 3 instead of 1, from the next stage on that begins")
    shown = told(command_line, "pools")
    assert {pool["name"]: pool["limit"] for pool in shown["pools"]} == {"download": 4, "gpu": 3, "llm": 4, "render": 2}
    assert (shown["max_in_flight"], shown["max_concurrent_runs"], shown["hints"]) == (4, 4, [])
    table = command_line.run("pools").stdout
    assert "one model fills a GPU" in table
    assert "content_type, clip_candidates" in table


def test_a_limit_that_nothing_can_use_is_told(tmp_path: Path) -> None:
    command_line = CommandLine(tmp_path, {"MADVISION_MAX_IN_FLIGHT": "2"})

    result = command_line.run("pools", "set", "gpu", "8")

    assert result.exit_code == 0
    assert "gpu 8, llm 4, but only 2 videos are in flight at once: raise MADVISION_MAX_IN_FLIGHT." in result.stderr


def test_a_paused_pool_is_told(command_line: CommandLine) -> None:
    assert "Paused: gpu." in command_line.run("pools", "set", "gpu", "0").stderr
    assert "Paused: gpu." in command_line.run("pools").stdout


@pytest.mark.parametrize(
    ("name", "limit"), [("gpus", "1"), ("gpu", "1001"), ("gpu", "-1"), ("gpu", "1.5"), ("gpu", "")]
)
def test_what_is_no_pool_or_no_limit_is_refused_and_changes_nothing(
    command_line: CommandLine, name: str, limit: str
) -> None:
    result = command_line.run("pools", "set", "--", name, limit)

    assert result.exit_code == 2
    assert [pool["limit"] for pool in told(command_line, "pools")["pools"]] == [4, 1, 4, 2]


# --- cost ---


def test_an_estimate_adds_up_and_names_every_price(command_line: CommandLine) -> None:
    found = told(command_line, "cost", "estimate", "--hours-per-day", "100", "--gpu", "g5.xlarge", "--spot")

    assert found["total"]["usd_per_day"] == pytest.approx(sum(line["usd_per_day"] for line in found["lines"]))
    assert found["total"]["usd_per_video_hour"] == pytest.approx(found["total"]["usd_per_day"] / 100)
    assert all(line["price"]["source"] for line in found["lines"])
    assert found["lines"][0]["price_name"] == "g5.xlarge.spot"
    workers = {size["pool"]: size["workers"] for size in found["pools"]}
    assert workers.keys() == {"download", "gpu", "llm", "render"}
    assert found["gpu_nodes"] == workers["gpu"]
    assert found["max_in_flight"] == sum(workers.values())
    assert len(found["savings"]) == 2


def test_the_table_says_what_it_rests_upon(command_line: CommandLine) -> None:
    shown = command_line.run("cost", "estimate", "--hours-per-day", "20").stdout

    assert "GPU nodes at the peak: 1." in shown
    assert "5.5 times as fast" in shown
    assert "List prices of AWS in us-east-1, 2025-06, to be checked" in shown
    assert "saves $" in shown


def test_the_tables_fit_on_a_terminal_of_a_hundred_columns() -> None:
    console = Console(width=100, record=True, markup=False)
    with console.capture() as captured:
        estimate(Plan(Load(10_000.0), model=None), dict(PRICES)).show(console)

    lines = [line for line in captured.get().splitlines() if line.startswith(("│", "┃"))]
    assert all(len(line) <= 100 for line in lines)
    assert "…" not in captured.get()


def test_the_operators_models_have_the_prices_that_he_tells(tmp_path: Path) -> None:
    models = tmp_path / "models.toml"
    price = "price = { input = 7.0, cached = 7.0, output = 9.0 }"
    models.write_text(f'[mine]\nnames = ["mine-1"]\ncontext = 9000\noutput = 1000\n{price}\n')
    command_line = CommandLine(tmp_path / "home", {"MADVISION_MODELS_FILE": str(models)})

    found = told(command_line, "cost", "estimate", "--hours-per-day", "1", "--model", "mine-1")

    lines = {line["name"]: line for line in found["lines"]}
    assert lines["analysis: input"]["price"]["usd"] == 7.0


def test_prices_of_a_file_count(command_line: CommandLine, tmp_path: Path) -> None:
    listed = tmp_path / "prices.toml"
    listed.write_text("[gpt-4o]\ninput = 0\noutput = 0\n[g4dn]\nxlarge = 1.0\n")

    found = told(command_line, "cost", "estimate", "--hours-per-day", "1", "--prices", str(listed))

    lines = {line["name"]: line for line in found["lines"]}
    assert lines["analysis: input"]["usd_per_day"] == 0
    gpu = lines["transcript: GPU nodes"]
    assert (gpu["usd_per_day"], gpu["price"]["source"]) == (pytest.approx(gpu["quantity"]), str(listed))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--hours-per-day", "nan"), "nan hours of video a day cannot be planned for."),
        (("--hours-per-day", "0"), "0 hours of video a day cannot be planned for."),
        (("--hours-per-day", "1", "--utilisation", "70"), "at most 1, not 70."),
        (("--hours-per-day", "1", "--video-minutes", "0"), "video_minutes must be above 0."),
        (("--hours-per-day", "1", "--model", "gpt-9"), "'gpt-9' is not known. Known: gpt-4o, gpt-4o-mini, gpt-6-luna."),
        (("--hours-per-day", "1", "--gpu", "p5.48xlarge"), "is not one of"),
        (("--hours-per-day", "1", "--offline", "--model", "gpt-4o"), "either --model or --offline"),
        (("--hours-per-day", "1", "--measured", "--offline"), "--measured knows speed and model"),
        (("--hours-per-day", "1", "--measured"), "nothing is measured"),
        (("--hours-per-day", "1", "--prices", "no.toml"), "does not exist"),
    ],
)
def test_bad_input_is_a_sentence(command_line: CommandLine, arguments: tuple[str, ...], sentence: str) -> None:
    result = command_line.run("cost", "estimate", *arguments)

    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(b"s3.storge = 1", "Did you mean 's3.storage'?"), (b"cpu = 'much'", "a number of US dollars"),
     (b"cpu = ", "cannot be read as TOML"), (b"\xff", "cannot be read as TOML")],
)  # fmt: skip
def test_a_bad_file_of_prices_is_a_sentence(
    command_line: CommandLine, tmp_path: Path, text: bytes, sentence: str
) -> None:
    listed = tmp_path / "prices.toml"
    listed.write_bytes(text)

    result = command_line.run("cost", "estimate", "--hours-per-day", "1", "--prices", str(listed))

    assert result.exit_code == 2
    assert sentence in result.stderr


# --- measured ---


def make_video(workplace: Workplace, number: int, minutes: float, **wall_s: float) -> None:
    """A video of this length with a row of lineage for each stage: a second each, or as said."""
    [video_id] = submit(workplace.database, number, at=NOW)
    made = raw_video()
    info = made.info.model_copy(update={"duration_s": minutes * 60})
    document = sealed(made.model_copy(update={"video_id": video_id, "info": info, "provenance": None}))
    write_document(workplace.store, document)
    point_current(workplace.store, document)
    for step in PipelineStep:
        add_lineage(workplace, video_id, step, wall_s.get(step.value, 1.0))


def add_lineage(workplace: Workplace, video_id: str, step: PipelineStep, wall_s: float) -> None:
    values = Recipe(engine="made up").model_dump()
    values |= {
        "video_id": video_id,
        "asset": step.value,
        "run_id": f"{wall_s}",
        "code_version": "1",
        "data_version": "1",
    }
    cost_usd = 0.3 if step is PipelineStep.CLIP_CANDIDATES else 0.0
    if step is PipelineStep.TRANSCRIPT:
        values["usage"] = {"engine_ms": round(600 * wall_s), "requests": 1}
    values |= {"uri": "", "inputs": [], "cost_usd": cost_usd, "wall_s": wall_s, "created_at": NOW}
    with workplace.database.writing() as connection:
        connection.execute(lineage.insert().values(**values))


@pytest.mark.parametrize("kind", KINDS)
def test_seconds_and_dollars_a_minute_come_out_of_the_history(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with new_database(kind, request, tmp_path) as database:
        database.migrate()
        workplace = CommandLine(tmp_path / "home", {"MADVISION_DATABASE_URL": url_of(database)}).workplace()
        check_history(workplace)
        workplace.database.engine.dispose()


def check_history(workplace: Workplace) -> None:
    make_video(workplace, 1, 10.0, transcript=100.0)
    make_video(workplace, 2, 20.0, transcript=50.0)
    add_lineage(workplace, "web-2", PipelineStep.TRANSCRIPT, 500.0)
    submit(workplace.database, 3, at=NOW)
    add_lineage(workplace, "web-3", PipelineStep.RAW_VIDEO, 1e6)

    found = measure(workplace.database, workplace.store)

    assert found is not None
    assert (found.videos, found.minutes) == (2, 30.0)
    assert found.seconds[PipelineStep.TRANSCRIPT] == pytest.approx(600 / 30)
    assert found.seconds[PipelineStep.RAW_VIDEO] == pytest.approx(2 / 30)
    assert found.usd[PipelineStep.CLIP_CANDIDATES] == pytest.approx(0.6 / 30)
    assert found.hearing_s == {"engine": pytest.approx(0.6 * 600 / 30)}
    newest = measure(workplace.database, workplace.store, newest=1)
    assert newest is not None
    assert newest.minutes == 20.0


def test_an_estimate_by_the_history_says_so(command_line: CommandLine) -> None:
    make_video(command_line.workplace(), 1, 10.0, transcript=100.0)

    found = told(command_line, "cost", "estimate", "--hours-per-day", "24", "--measured", "--pod-start-s", "0")

    [gpu] = [size for size in found["pools"] if size["pool"] == "gpu"]
    assert gpu["seconds_per_minute"] == pytest.approx(10.0)
    assert "measured on 1 video of 10 minutes in all" in [line["price"]["source"] for line in found["lines"]]
    shown = command_line.run("cost", "estimate", "--hours-per-day", "24", "--measured").stdout
    assert "measured on 1 video of 10 minutes" in shown
    assert "engine 360.0 s" in " ".join(shown.split())


def test_a_video_whose_manifest_is_gone_does_not_count(command_line: CommandLine) -> None:
    workplace = command_line.workplace()
    make_video(workplace, 1, 10.0)
    make_video(workplace, 2, 20.0)
    workplace.store.delete(list(workplace.store.list_keys("raw_video/web-1")))

    found = measure(workplace.database, workplace.store)

    assert found is not None
    assert (found.videos, found.minutes) == (1, 20.0)


# --- archive ---


def finish(workplace: Workplace, number: int, age: timedelta) -> None:
    [video_id] = submit(workplace.database, number, at=NOW)
    alter(workplace.database, video_id, status="done", outcome="clips", finished_at=NOW - age)
    with open_instance(workplace.dagster_folder, None) as instance:
        add_partition(instance, video_id)


def left(workplace: Workplace) -> set[str]:
    with open_instance(workplace.dagster_folder, None) as instance:
        return set(instance.get_dynamic_partitions(str(videos.name)))


def test_archive_tells_asks_and_does_it(command_line: CommandLine) -> None:
    workplace = command_line.workplace()
    for number, days in enumerate((90, 60, 1)):
        finish(workplace, number, timedelta(days=days))

    assert command_line.run("archive", "--older-than", "30d", "--dry-run").stdout == (
        "3 partitions; 2 can be archived.\n"
    )
    assert command_line.run("archive", "--older-than", "30d", typed="n\n").exit_code == 1
    assert len(left(workplace)) == 3

    result = command_line.run("archive", "--older-than", "4w", "--keep", "2", "--runs", "--yes")

    assert result.exit_code == 0, result.output
    assert "1 video archived, 0 runs deleted, in " in result.stdout
    assert left(workplace) == {"web-1", "web-2"}
    assert command_line.run("archive", "--older-than", "12h", "--yes").exit_code == 0
    assert left(workplace) == set()
    assert command_line.run("archive", "--older-than", "12h").stdout == "0 partitions; 0 can be archived.\n"


@pytest.mark.parametrize("age", ["30", "d", "30m", "-1d", "1.5d", "", "999999d"])
def test_what_is_no_age_is_refused(command_line: CommandLine, age: str) -> None:
    result = command_line.run("archive", f"--older-than={age}", "--yes")

    assert result.exit_code == 2
    assert "give 36h, 30d or 2w" in result.stderr
