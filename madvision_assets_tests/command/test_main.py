"""Claims about the ``madvision`` command (``process`` has its own: defs/test_process.py, defs/test_bad_input.py)."""

import json
from pathlib import Path

import pytest

from madvision_assets.defs.runtime.stage_context import no_progress
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.fakes import FakeOpenAI
from madvision_assets_tests.real_servers import S3Server
from madvision_assets_tests.sample import SAMPLE


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


def test_help_names_every_command(command_line: CommandLine) -> None:
    told = command_line.run("--help").output

    commands = ["process", "submit", "status", "requeue", "forget", "lineage", "doctor", "migrate", "serve"]
    assert [command for command in commands if command not in told] == []


def test_a_moved_file_is_the_same_video_at_its_new_place(command_line: CommandLine, tmp_path: Path) -> None:
    old, new = tmp_path / "old.mp4", tmp_path / "new.mp4"
    old.write_bytes(b"the same bytes")
    video_id = command_line.run("submit", str(old)).output.split()[0]
    old.rename(new)

    assert command_line.run("submit", str(new)).output.split()[0] == video_id
    assert command_line.workplace().database.get_video(video_id).address == new.as_uri()


def test_doctor_finds_a_workplace_ready(command_line: CommandLine) -> None:
    result = command_line.run("doctor")

    assert result.exit_code == 0, result.output
    assert "Ready." in result.output
    for part in ("Python packages", "ffmpeg", "Whisper model", "analyst", "database", "store"):
        assert part in result.output


@pytest.mark.parametrize(
    ("variables", "part", "advice"),
    [
        ({"MADVISION_WHISPER_MODEL": "no/such.pt"}, "Whisper model", "MADVISION_WHISPER_MODEL"),
        ({"OPENAI_API_KEY": "sk-wrong"}, "analyst", "OPENAI_API_KEY"),
        ({"MADVISION_DATABASE_URL": "postgresql://nobody:hunter2@127.0.0.1:9/x"}, "database", "database"),
        ({"MADVISION_DATABASE_URL": "sqlite:////proc/nowhere/x.db"}, "database", "database"),
        ({"MADVISION_STORE_URL": "file:///proc/nowhere"}, "store", "store"),
    ],
)
def test_doctor_says_what_to_do_about_a_part_that_is_missing(
    tmp_path: Path, variables: dict[str, str], part: str, advice: str
) -> None:
    with FakeOpenAI() as openai:
        result = CommandLine(tmp_path, {"OPENAI_BASE_URL": openai.base_url, **variables}).run("doctor")

    assert result.exit_code == 1
    assert f"Not ready: {part}." in result.output
    assert advice in result.output
    assert "hunter2" not in result.output
    assert "Traceback" not in result.output


def test_a_collector_that_cannot_be_used_is_told_by_doctor_and_stops_nothing(tmp_path: Path) -> None:
    command_line = CommandLine(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://ann:hunter2@collector:4317"})
    told = command_line.run("doctor")

    assert told.exit_code == 0, told.output
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in told.output
    assert "hunter2" not in told.output
    assert command_line.run("status").exit_code == 0


def test_doctor_sees_a_real_store_and_a_real_analyst(tmp_path: Path, s3_server: S3Server) -> None:
    s3_server.create_bucket("doctor")
    with FakeOpenAI() as openai:
        keys = {"OPENAI_API_KEY": openai.key, "OPENAI_BASE_URL": openai.base_url}
        command_line = CommandLine(
            tmp_path, {**s3_server.environment(), "MADVISION_STORE_URL": "s3://doctor/x", **keys}
        )
        result = command_line.run("doctor")

    assert result.exit_code == 0, result.output
    assert "s3://doctor/x" in result.output
    assert "gpt-4o" in result.output
    assert s3_server.secret_access_key not in result.output


@pytest.mark.parametrize(("analyst", "told"), [("openai", "the stages' pods"), ("offline", "rules on this machine")])
def test_on_a_cluster_the_doctor_leaves_the_analyst_to_those_who_have_its_key(
    tmp_path: Path, analyst: str, told: str
) -> None:
    command_line = CommandLine(tmp_path, {"MADVISION_EXECUTOR": "k8s", "MADVISION_ANALYST": analyst})

    ready, found = command_line.workplace().probes()["analyst"]()

    assert ready
    assert told in found


def test_migrate_brings_the_tables_of_postgresql(tmp_path: Path, postgres_url: str) -> None:
    command_line = CommandLine(tmp_path, {"MADVISION_DATABASE_URL": postgres_url})

    for _ in range(2):
        result = command_line.run("migrate")
        assert result.exit_code == 0, result.output
    assert command_line.run("submit", str(SAMPLE)).exit_code == 0


def test_a_setting_that_cannot_be_used_is_a_usage_error_with_its_name(tmp_path: Path) -> None:
    result = CommandLine(tmp_path, {"MADVISION_STORE_URL": "gopher://x"}).run("process", str(SAMPLE))

    assert result.exit_code == 2
    assert "MADVISION_STORE_URL" in result.output


@pytest.mark.parametrize("command", [("doctor",), ("process", str(SAMPLE))])
@pytest.mark.parametrize(
    ("variable", "known"), [("MADVISION_WHISPER_ENGINE", "openai-whisper"), ("MADVISION_ANALYST", "offline")]
)
def test_an_engine_or_analyst_that_there_is_none_of_is_a_usage_error_that_lists_those_that_there_are(
    tmp_path: Path, command: tuple[str, ...], variable: str, known: str
) -> None:
    result = CommandLine(tmp_path, {variable: "siri"}).run(*command)

    assert result.exit_code == 2
    assert f"{variable}: there is no 'siri', but" in result.output
    assert known in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("identity", ["nobody", "nobody.01", "../../etc", ""])
def test_lineage_of_an_unknown_video_is_a_sentence(command_line: CommandLine, identity: str) -> None:
    result = command_line.run("lineage", identity)

    assert result.exit_code == 1
    assert "unknown_video" in result.output


def test_lineage_of_a_video_that_was_only_submitted_has_no_stages(command_line: CommandLine) -> None:
    video_id = command_line.run("submit", str(SAMPLE)).output.split()[0]

    assert json.loads(command_line.run("lineage", video_id, "--format", "json").output)["stages"] == []


def test_foreign_words_that_look_like_markup_are_shown_as_they_are(tmp_path: Path) -> None:
    command_line = CommandLine(tmp_path / "ho me [/x]")

    assert "[/bold]" in command_line.run("lineage", "[/bold]").output
    assert "[/x]" in command_line.run("doctor").output
    assert command_line.run("doctor").exit_code == 0


@pytest.mark.parametrize("source", ["x" * 5000, "~nosuchuser/x.mp4", "a\0b", ".", "/dev/null"])
def test_what_cannot_be_read_is_a_usage_error(command_line: CommandLine, source: str) -> None:
    result = command_line.run("submit", source)

    assert result.exit_code == 2
    assert "neither a file" in result.output


def test_a_file_that_changed_since_it_was_submitted_is_not_taken_for_the_first(
    command_line: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "talk.mp4"
    file.write_bytes(b"first")
    video_id = command_line.run("submit", str(file)).output.split()[0]
    file.write_bytes(b"second")

    with command_line.environment():
        report = command_line.workplace().run(video_id, lambda _: (PipelineStep.RAW_VIDEO,), no_progress)

    assert report.failure is not None
    assert report.failure.cause == "file_changed"


def test_a_file_that_is_cut_in_another_way_is_the_same_file(command_line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "talk.mp4"
    file.write_bytes(b"first")
    video_id = command_line.run("submit", str(file), "--max-clips", "2").output.split()[0]

    with command_line.environment():
        report = command_line.workplace().run(video_id, lambda _: (PipelineStep.RAW_VIDEO,), no_progress)

    assert report.failure is not None
    assert report.failure.cause == "not_media"


def test_a_home_that_is_a_file_is_a_failure_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").touch()

    result = CommandLine(tmp_path / "home").run("process", str(SAMPLE))

    assert result.exit_code == 1
    assert "home_unusable" in result.output
    assert "MADVISION_HOME" in result.output


@pytest.mark.parametrize("text", ["a: [", "nonsense: 1"])
def test_a_dagster_yaml_that_cannot_be_understood_is_a_usage_error_that_names_it(
    command_line: CommandLine, text: str
) -> None:
    config = command_line.home / "dagster" / "dagster.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(text)

    result = command_line.run("process", str(SAMPLE))

    assert result.exit_code == 2
    assert str(config) in result.output


def test_a_database_of_dagster_that_is_none_is_a_failure_with_a_sentence(command_line: CommandLine) -> None:
    history = command_line.home / "dagster" / "history"
    history.mkdir(parents=True)
    (history / "runs.db").write_bytes(b"no database" * 100)

    result = command_line.run("process", str(SAMPLE))

    assert result.exit_code == 1
    assert "database_unavailable" in result.output
