"""Claims about one video from end to end: the real command, the real Whisper code, real files."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import jiwer
import numpy as np
import pytest
from click.testing import Result

from madvision_assets.domain.clips import Clips, Outcome, Role
from madvision_assets.domain.failures import CorruptMediaError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.media import probe
from madvision_assets.tools.store.documents import read_current
from madvision_assets_tests import footage
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.fakes import FakeOpenAI
from madvision_assets_tests.real_servers import S3Server
from madvision_assets_tests.sample import SAMPLE, spoken_sentences
from madvision_assets_tests.site import Site

pytestmark = pytest.mark.whole

WORD_ERROR_LIMIT = 0.05
EXCERPT_S = 46


@pytest.fixture(scope="module")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def first_run(command_line: CommandLine) -> Result:
    result = command_line.run("process", str(SAMPLE))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def video_id(first_run: Result) -> str:
    return video_of(first_run)


@pytest.fixture(scope="module")
def made(command_line: CommandLine, video_id: str) -> Clips:
    return read_current(command_line.workplace().store, Clips, video_id)


def video_of(result: Result) -> str:
    found = re.search(r"Video (\S+):", result.output)
    assert found
    return found.group(1)


def stages_done(result: Result) -> list[str]:
    return re.findall(r"^(\w+) +done in", result.output, re.MULTILINE)


def plain(text: str) -> str:
    return " ".join("".join(c for c in text.lower() if c.isalnum() or c == " ").split())


def test_what_was_made_just_now_is_not_stale(command_line: CommandLine, first_run: Result) -> None:
    assert "Nothing would come out otherwise." in command_line.run("stale").output
    other = CommandLine(command_line.home, {"OPENAI_API_KEY": "sk-test"})
    assert "content_type" in other.run("stale").output, "another analyst would see it otherwise"
    assert first_run.exit_code == 0


def test_the_sample_ends_in_at_least_three_clips(first_run: Result, made: Clips) -> None:
    assert made.outcome is Outcome.CLIPS
    assert len(made.clips) >= 3
    assert stages_done(first_run) == [step.value for step in PipelineStep]


def test_the_transcript_has_the_words_that_are_said(command_line: CommandLine, video_id: str) -> None:
    heard = read_current(command_line.workplace().store, Transcript, video_id)
    said = plain(" ".join(s["text"] for s in spoken_sentences()))

    assert jiwer.wer(said, plain(heard.text)) < WORD_ERROR_LIMIT


def test_each_clip_plays_from_its_first_frame_with_sound(command_line: CommandLine, made: Clips) -> None:
    store = command_line.workplace().store
    for clip in made.clips:
        path = store.local_path(clip.files[Role.SOURCE].key)
        assert path is not None
        with av.open(str(path)) as container:
            video = next(iter(container.decode(video=0)))
        with av.open(str(path)) as container:
            loudest = max(float(np.abs(frame.to_ndarray()).max()) for frame in container.decode(audio=0))
        assert video.time == pytest.approx(0, abs=0.001)
        assert loudest > 0.05
        assert clip.duration_s == pytest.approx(clip.end_s - clip.start_s, abs=0.1)


def test_each_clip_starts_on_its_first_word_and_its_captions_are_what_is_said(
    command_line: CommandLine, made: Clips
) -> None:
    store = command_line.workplace().store
    for clip in made.clips:
        captions = store.get_bytes(clip.files[Role.CAPTIONS].key).decode()
        shown = plain(
            " ".join(line for line in captions.splitlines() if line and "-->" not in line and not line.isdigit())
        )
        within = [
            s for s in spoken_sentences() if s["start_s"] >= clip.start_s - 0.3 and s["end_s"] <= clip.end_s + 0.3
        ]

        assert 0 <= within[0]["start_s"] - clip.start_s < 0.6
        assert jiwer.wer(plain(" ".join(s["text"] for s in within)), shown) < 0.15


def test_running_it_again_does_no_stage_twice_and_says_so(command_line: CommandLine, made: Clips) -> None:
    again = command_line.run("process", str(SAMPLE))

    assert again.exit_code == 0
    assert stages_done(again) == []
    assert again.output.count("not done again") == 5
    assert "nothing to do" in again.output
    assert f"{len(made.clips)} clips" in again.output


def test_lineage_tells_versions_model_and_inputs(command_line: CommandLine, video_id: str) -> None:
    told = json.loads(command_line.run("lineage", video_id, "--format", "json").output)
    stages = {stage["asset"]: stage for stage in told["stages"]}

    assert list(stages) == [step.value for step in PipelineStep]
    assert "tiny.en@sha256:" in stages["transcript"]["model"]
    assert not list(command_line.home.glob("store/pieces/*"))
    assert stages["clips"]["inputs"][0]["data_version"] == stages["raw_video"]["data_version"]
    for form in ("tree", "table", "csv", "mermaid"):
        result = command_line.run("lineage", video_id, "--format", form)
        assert result.exit_code == 0
        assert "transcript" in result.output


def test_no_temporary_file_is_left(command_line: CommandLine, first_run: Result) -> None:
    assert first_run.exit_code == 0
    assert command_line.leftovers() == []


def test_every_document_carries_its_provenance(command_line: CommandLine, video_id: str) -> None:
    store = command_line.workplace().store
    documents = [k for k in store.list_keys() if k.endswith(".json") and not k.endswith("current.json")]

    assert len(documents) >= 5
    for key in documents:
        block = json.loads(store.get_bytes(key))["provenance"]
        assert block["run_id"]
        assert block["engine"]
        assert key == f"{block['asset']}/{video_id}/{block['data_version']}.json"


@pytest.fixture(scope="module")
def excerpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first sections of the sample, to be quick."""
    out = tmp_path_factory.mktemp("excerpt") / "excerpt.mp4"
    footage.ffmpeg("-t", str(EXCERPT_S), "-i", SAMPLE, "-c", "copy", "-movflags", "+faststart", out)
    return out


@pytest.fixture(scope="module")
def from_http(command_line: CommandLine, excerpt: Path) -> Iterator[tuple[str, Result]]:
    with Site() as site:
        address = site.serve("/talks/excerpt.mp4", excerpt.read_bytes(), content_type="video/mp4")
        yield address, command_line.run("process", address)


def test_an_http_address_ends_in_clips(from_http: tuple[str, Result]) -> None:
    address, result = from_http

    assert result.exit_code == 0, result.output
    assert address in result.output
    assert stages_done(result) == [step.value for step in PipelineStep]
    assert re.search(r"\d clips of web-[0-9a-f]{16}", result.output)


def test_from_a_step_redoes_exactly_that_and_the_later_ones(
    command_line: CommandLine, from_http: tuple[str, Result]
) -> None:
    again = command_line.run("process", from_http[0], "--from", "clip_candidates", "--format", "json")

    assert again.exit_code == 0
    assert stages_done(again) == ["clip_candidates", "clips"]
    told = json.loads(again.stdout)  # a program reads nothing else
    assert told["steps"] == ["clip_candidates", "clips"]
    assert (told["address"], told["failure"], told["outcome"]) == (from_http[0], None, "clips")
    assert [Path(clip["files"]["source"]).is_file() for clip in told["clips"]] == [True] * len(told["clips"])


def test_a_store_in_s3_holds_everything(tmp_path: Path, excerpt: Path, s3_server: S3Server) -> None:
    s3_server.create_bucket("end-to-end")
    command_line = CommandLine(
        tmp_path, {**s3_server.environment(), "MADVISION_STORE_URL": "s3://end-to-end/some/prefix"}
    )

    result = command_line.run("process", str(excerpt))

    assert result.exit_code == 0, result.output
    assert re.search(r"s3://end-to-end/some/prefix/media/\S+\.mp4", result.output)
    assert not (tmp_path / "store").exists()
    assert command_line.leftovers() == []


def test_the_openai_analyst_decides_where_there_is_a_key(
    command_line: CommandLine, from_http: tuple[str, Result]
) -> None:
    with FakeOpenAI() as openai:
        paid = CommandLine(command_line.home, {"OPENAI_API_KEY": openai.key, "OPENAI_BASE_URL": openai.base_url})
        result = paid.run("process", from_http[0], "--from", "content_type")

    assert result.exit_code == 0, result.output
    told = json.loads(paid.run("lineage", video_of(result), "--format", "json").output)
    stages = {stage["asset"]: stage for stage in told["stages"]}
    assert stages["content_type"]["engine"] == "openai"
    assert stages["clip_candidates"]["prompt_hash"]
    assert stages["clip_candidates"]["cost_usd"] > 0


def test_a_spent_budget_stops_paid_calls_and_says_what_to_do(
    command_line: CommandLine, from_http: tuple[str, Result]
) -> None:
    with FakeOpenAI() as openai:
        keys = {"OPENAI_API_KEY": openai.key, "OPENAI_BASE_URL": openai.base_url}
        result = CommandLine(command_line.home, {**keys, "MADVISION_BUDGET_USD_PER_DAY": "0"}).run(
            "process", from_http[0], "--from", "clip_candidates"
        )

    assert result.exit_code == 1
    assert "(budget_exhausted)" in result.output
    assert "MADVISION_BUDGET_USD_PER_DAY" in result.output
    assert openai.requests == []


def test_a_model_without_a_price_is_taken_for_the_dearest_under_a_ceiling(
    command_line: CommandLine, from_http: tuple[str, Result]
) -> None:
    with FakeOpenAI() as openai:
        keys = {
            "OPENAI_API_KEY": openai.key,
            "OPENAI_BASE_URL": openai.base_url,
            "MADVISION_OPENAI_MODEL": "unheard-of",
        }
        paid = CommandLine(command_line.home, {**keys, "MADVISION_BUDGET_USD_PER_VIDEO": "0.001"})
        result = paid.run("process", from_http[0], "--from", "clip_candidates")

    assert result.exit_code == 1
    assert "MADVISION_BUDGET_USD_PER_VIDEO" in result.output
    assert openai.requests == []


def test_a_stage_whose_work_turned_out_damaged_is_done_again_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise CorruptMediaError("nothing decodes at 1.0 s")

    own = CommandLine(tmp_path / "home")
    video = str(footage.silence(tmp_path / "silence.mp4"))
    with monkeypatch.context() as damaged:
        damaged.setattr(probe, "verify_decodes", refuse)
        refused = own.run("process", video)
    row = Operations(own.workplace().database).rows()[0]

    again = own.run("process", video)

    assert (refused.exit_code, row.status, row.failure_cause) == (1, "failed", "corrupt_media")
    assert again.exit_code == 0
    assert re.search(r"raw_video +done in", again.output)
