"""Claims about one video from end to end: the real command, the real Whisper code, real files."""

import json
import re
from pathlib import Path

import av
import jiwer
import numpy as np
import pytest
from click.testing import Result

from madvision_assets.domain.clips import Clips, Outcome
from madvision_assets.domain.queue import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.tools.store.documents import read_current
from madvision_assets_tests.real_servers import S3Server
from madvision_assets_tests.sample import SAMPLE, spoken_sentences
from madvision_assets_tests.site import Site
from madvision_assets_tests.workshop import Workshop

WORD_ERROR_LIMIT = 0.05


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def first_run(workshop: Workshop) -> Result:
    result = workshop.run("process", str(SAMPLE))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def video_id(first_run: Result) -> str:
    found = re.search(r"Video (\S+):", first_run.output)
    assert found
    return found.group(1)


@pytest.fixture(scope="module")
def made(workshop: Workshop, video_id: str) -> Clips:
    return read_current(workshop.workplace().store, Clips, video_id)


def stages_done(result: Result) -> list[str]:
    return re.findall(r"^(\w+) +done in", result.output, re.MULTILINE)


def plain(text: str) -> str:
    return " ".join("".join(c for c in text.lower() if c.isalnum() or c == " ").split())


def test_the_sample_ends_in_at_least_three_clips(first_run: Result, made: Clips) -> None:
    assert made.outcome is Outcome.CLIPS
    assert len(made.clips) >= 3
    assert stages_done(first_run) == [step.value for step in PipelineStep]


def test_the_transcript_has_the_words_that_are_said(workshop: Workshop, video_id: str) -> None:
    heard = read_current(workshop.workplace().store, Transcript, video_id)
    said = plain(" ".join(s["text"] for s in spoken_sentences()))

    assert jiwer.wer(said, plain(heard.text)) < WORD_ERROR_LIMIT


def test_each_clip_plays_from_its_first_frame_with_sound(workshop: Workshop, made: Clips) -> None:
    store = workshop.workplace().store
    for clip in made.clips:
        path = store.local_path(clip.media.key)
        assert path is not None
        with av.open(str(path)) as container:
            video = next(iter(container.decode(video=0)))
        with av.open(str(path)) as container:
            loudest = max(float(np.abs(frame.to_ndarray()).max()) for frame in container.decode(audio=0))
        assert video.time == pytest.approx(0, abs=0.001)
        assert loudest > 0.05
        assert clip.duration_s == pytest.approx(clip.end_s - clip.start_s, abs=0.1)


def test_each_clip_starts_on_its_first_word_and_its_captions_are_what_is_said(workshop: Workshop, made: Clips) -> None:
    store = workshop.workplace().store
    for clip in made.clips:
        captions = store.get_bytes(clip.captions.key).decode()
        shown = plain(
            " ".join(line for line in captions.splitlines() if line and "-->" not in line and not line.isdigit())
        )
        within = [
            s for s in spoken_sentences() if s["start_s"] >= clip.start_s - 0.3 and s["end_s"] <= clip.end_s + 0.3
        ]

        assert 0 <= within[0]["start_s"] - clip.start_s < 0.6
        assert jiwer.wer(plain(" ".join(s["text"] for s in within)), shown) < 0.15


def test_running_it_again_does_no_stage_twice_and_says_so(workshop: Workshop, made: Clips) -> None:
    again = workshop.run("process", str(SAMPLE))

    assert again.exit_code == 0
    assert stages_done(again) == []
    assert again.output.count("not done again") == 5
    assert "nothing to do" in again.output
    assert f"{len(made.clips)} clips" in again.output


def test_from_a_step_redoes_exactly_that_and_the_later_ones(workshop: Workshop, first_run: Result) -> None:
    assert first_run.exit_code == 0
    again = workshop.run("process", str(SAMPLE), "--from", "clip_candidates")

    assert again.exit_code == 0
    assert stages_done(again) == ["clip_candidates", "clips"]


def test_lineage_tells_versions_model_and_inputs(workshop: Workshop, video_id: str) -> None:
    told = json.loads(workshop.run("lineage", video_id, "--format", "json").output)
    stages = {stage["asset"]: stage for stage in told["stages"]}

    assert list(stages) == [step.value for step in PipelineStep]
    assert "whisper-nano" in stages["transcript"]["model"]
    assert stages["clips"]["inputs"][0]["data_version"] == stages["raw_video"]["data_version"]
    for form in ("tree", "table", "csv", "mermaid"):
        result = workshop.run("lineage", video_id, "--format", form)
        assert result.exit_code == 0
        assert "transcript" in result.output


def test_no_temporary_file_is_left(workshop: Workshop, first_run: Result) -> None:
    assert first_run.exit_code == 0
    assert workshop.leftovers() == []


def test_every_document_carries_its_provenance(workshop: Workshop, video_id: str) -> None:
    store = workshop.workplace().store
    documents = [k for k in store.list_keys() if k.endswith(".json") and not k.endswith("current.json")]

    assert len(documents) >= 5
    for key in documents:
        block = json.loads(store.get_bytes(key))["provenance"]
        assert block["run_id"]
        assert block["engine"]
        assert key == f"{block['asset']}/{video_id}/{block['data_version']}.json"


def test_an_http_address_gives_the_same_clips_as_the_file(workshop: Workshop, made: Clips) -> None:
    with Site() as site:
        address = site.serve("/talks/sample.mp4", SAMPLE.read_bytes(), content_type="video/mp4")
        result = workshop.run("process", address)

    assert result.exit_code == 0, result.output
    assert "web-" in result.output
    assert f"{len(made.clips)} clips" in result.output


def test_a_store_in_s3_holds_everything(tmp_path: Path, s3_server: S3Server) -> None:
    s3_server.create_bucket("end-to-end")
    workshop = Workshop(tmp_path, {**s3_server.environment(), "MADVISION_STORE_URL": "s3://end-to-end/some/prefix"})

    result = workshop.run("process", str(SAMPLE))

    assert result.exit_code == 0, result.output
    assert "s3://" in result.output
    assert not (tmp_path / "store").exists()
    assert workshop.leftovers() == []


def test_the_openai_analyst_decides_where_there_is_a_key(workshop: Workshop, first_run: Result) -> None:
    from madvision_assets_tests.fakes import FakeOpenAI

    assert first_run.exit_code == 0
    with FakeOpenAI() as openai:
        paid = Workshop(workshop.home, {"OPENAI_API_KEY": openai.key, "OPENAI_BASE_URL": openai.base_url})
        result = paid.run("process", str(SAMPLE), "--from", "content_type")
        video_id = re.search(r"Video (\S+):", result.output).group(1)  # type: ignore[union-attr]
        told = json.loads(paid.run("lineage", video_id, "--format", "json").output)

    assert result.exit_code == 0, result.output
    stages = {stage["asset"]: stage for stage in told["stages"]}
    assert stages["content_type"]["engine"] == "openai"
    assert stages["clip_candidates"]["prompt_hash"]
    assert stages["clip_candidates"]["cost_usd"] > 0
