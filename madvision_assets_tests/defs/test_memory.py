"""The claim that a stage's memory does not grow with the file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from madvision_assets_tests import footage

GB = 1000**3
LIMIT_MIB = 500
TIME_LIMIT_S = 280

# In a process of its own, so that its peak is that of the two stages.
STAGES = """
import json, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from madvision_assets.domain.clips import ClipCandidate, ClipCandidates, Outcome
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets_tests.command_line import CommandLine

home, source = Path(sys.argv[1]), sys.argv[2]
with CommandLine(home).environment():
    from madvision_assets.command.main import Workplace
    from madvision_assets.settings import load_settings
    workplace = Workplace(load_settings())
    video_id = workplace.register(source).video_id
    def run(step):
        report = workplace.run(video_id, lambda _: (step,), lambda *_: None)
        assert report.failure is None, report.failure
    run(PipelineStep.RAW_VIDEO)
    def publish(document):
        sealed = document.seal(Recipe(engine="test"), run_id="r", code_version="1", inputs=(), wall_s=0,
                               created_at=datetime.now(UTC))
        write_document(workplace.store, sealed)
        point_current(workplace.store, sealed)
    said = Segment(id=0, start_s=60, end_s=80, text="Something.")
    publish(Transcript(video_id=video_id, language="en", duration_s=90, audible_s=20, covered_s=20, segments=(said,)))
    moment = ClipCandidate(rank=1, start_s=60, end_s=80, title="t", reason="r", quote="Something.", score=1,
                           first_segment=0, last_segment=0)
    publish(ClipCandidates(video_id=video_id, outcome=Outcome.CLIPS, outcome_reason="one", candidates=(moment,)))
    run(PipelineStep.CLIPS)
    assert len(workplace.clips(video_id).clips) == 1
# Not its own ru_maxrss, which begins with the peak of the process that started this one.
own = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"RUSAGE_SELF": int(own) // 1024, "RUSAGE_CHILDREN": children // 1024}))
"""


@pytest.mark.long
def test_two_gigabytes_pass_raw_video_and_clips_under_500_mb(tmp_path: Path) -> None:
    source = footage.big(tmp_path / "big.mp4", 2 * GB)
    assert source.stat().st_size >= 2 * GB

    done = subprocess.run(
        [sys.executable, "-c", STAGES, str(tmp_path / "home"), str(source)],
        cwd=Path(__file__).resolve().parents[2],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    peak_mib = json.loads(done.stdout.splitlines()[-1])
    print(f"peak memory: {peak_mib} MiB")  # noqa: T201 - the figure, for `make test-long`
    assert max(peak_mib.values()) < LIMIT_MIB, peak_mib
