"""Claims about the arithmetic of ``benchmarks/cost_of_failure.py``."""

import math

from cost_of_failure import LIMIT_S, Spent, row

from madvision_assets.domain.stages import PipelineStep

USUAL = Spent(megabytes=2.0, audio_s=30.0, tokens=1000.0, cpu_s=20.0, seconds=40.0)


def test_what_is_paid_again_is_what_was_spent_beyond_the_usual_and_never_less_than_nothing() -> None:
    struck = Spent(megabytes=3.5, audio_s=60.0, tokens=1000.0, cpu_s=19.0, seconds=55.0)

    assert struck.beyond(USUAL) == Spent(megabytes=1.5, audio_s=30.0, tokens=0.0, cpu_s=0.0, seconds=15.0)


def test_a_video_that_was_never_done_is_told_as_that() -> None:
    lost = Spent(megabytes=2.0, audio_s=30.0, tokens=1000.0, cpu_s=20.0, seconds=math.inf)

    told = row(PipelineStep.CLIPS, USUAL.beyond(USUAL), lost.beyond(USUAL))

    assert told == f"| `clips` | 0.0 / 0.0 | 0 / 0 | 0 / 0 | 0.0 / 0.0 | 0 / not done in {LIMIT_S:.0f} s |"
