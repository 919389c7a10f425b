"""Claims about importing a corrected transcript: a new version, and exactly the later stages done again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from madvision_assets.connections import make_database, make_store
from madvision_assets.domain.failures import MissingInputError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.subtitles import BadSubtitlesError
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.transcript_forms import Form, rendered
from madvision_assets.domain.video import Video
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.submissions import NewSubmission
from madvision_assets.tools.store.documents import read_current
from madvision_assets.work.correcting import Corrections
from madvision_assets.work.dispatch import missing_steps
from madvision_assets.work.replacing import BusyError
from madvision_assets_tests.harness import Harness, open_harness

pytestmark = pytest.mark.whole

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep
WORDS = "What one remembers of a talk is a sentence that surprises and that one can repeat to somebody else."
VIDEO = Video(video_id="web-a", address="http://a.example.org/v.mp4")


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        made.tools.words = WORDS
        made.submissions.add([NewSubmission(VIDEO)])
        yield made


def corrections(harness: Harness) -> Corrections:
    return Corrections(make_store(harness.settings), make_database(harness.settings), harness.queue)


def heard(harness: Harness) -> Transcript:
    return read_current(make_store(harness.settings), Transcript, VIDEO.video_id)


def corrected_file(harness: Harness) -> bytes:
    return rendered(heard(harness), Form.SRT).replace("surprises", "delights").encode()


def test_a_correction_is_a_new_version_and_the_later_stages_alone_are_done_again(harness: Harness) -> None:
    harness.tick()
    before = heard(harness)

    made = corrections(harness).take(VIDEO.video_id, corrected_file(harness), Form.SRT, "ada")

    after = heard(harness)
    assert after == made
    assert "delights" in after.text
    assert after.origin.data_version != before.origin.data_version
    assert after.origin.inputs == before.origin.inputs
    assert (after.origin.engine, after.origin.cost_usd) == ("import", 0)
    assert after.origin.parameters["who"] == "ada"
    assert after.origin.parameters["in_place_of"] == before.origin.data_version
    assert len(str(after.origin.parameters["file_sha256"])) == 64
    assert missing_steps(make_store(harness.settings), VIDEO.video_id, None) == (KIND, CHOSEN, CUT)
    row = harness.row("a")
    assert (row.status, row.pipeline_step) == (QueueStatus.QUEUED, KIND)

    harness.tick()

    assert harness.row("a").status is QueueStatus.DONE
    assert {step: harness.tools.calls[step] for step in PipelineStep} == {RAW: 1, HEARD: 1, KIND: 2, CHOSEN: 2, CUT: 2}
    assert heard(harness) == after
    told = [row.engine for row in make_database(harness.settings).lineage_of(VIDEO.video_id) if row.asset == HEARD]
    assert told[-1] == "import"


def test_a_file_that_cannot_be_taken_changes_nothing(harness: Harness) -> None:
    harness.tick()
    before, row = heard(harness), harness.row("a")

    with pytest.raises(BadSubtitlesError):
        corrections(harness).take(VIDEO.video_id, b"nothing", Form.SRT, "ada")

    assert heard(harness) == before
    assert harness.row("a") == row


def test_a_video_that_is_being_processed_is_left_alone(harness: Harness) -> None:
    harness.tick()
    before, file = heard(harness), corrected_file(harness)
    Operations(make_database(harness.settings)).requeue(video_ids=[VIDEO.video_id], from_step=CUT)
    (claimed,) = harness.queue.claim_due(1)

    with pytest.raises(BusyError, match="being processed"):
        corrections(harness).take(VIDEO.video_id, file, Form.SRT, "ada")

    assert heard(harness) == before
    row = harness.row("a")
    assert (row.status, row.attempt) == (QueueStatus.RUNNING, claimed.attempt)


def test_a_transcript_that_is_to_be_made_anew_is_not_corrected(harness: Harness) -> None:
    harness.tick()
    before, file = heard(harness), corrected_file(harness)
    Operations(make_database(harness.settings)).requeue(video_ids=[VIDEO.video_id], from_step=RAW)

    with pytest.raises(BusyError, match="to be transcribed anew"):
        corrections(harness).take(VIDEO.video_id, file, Form.SRT, "ada")

    assert heard(harness) == before
    assert harness.row("a").status is QueueStatus.QUEUED


def test_nothing_can_be_corrected_before_it_is_heard(harness: Harness) -> None:
    with pytest.raises(MissingInputError):
        corrections(harness).take(VIDEO.video_id, b"1\n00:00:01,000 --> 00:00:02,000\nx\n", Form.SRT, "ada")

    assert harness.row("a").status is QueueStatus.QUEUED
