"""What the lineage tells of a document, for those who ask about many."""

from dataclasses import dataclass

from madvision_assets.domain.stages import PipelineStep


@dataclass(frozen=True)
class NewestDocument:
    """The newest version of a stage's document.

    Attributes:
        video_id: the partition.
        step: the stage.
        code_version: of the code that made it.
        engine: that did the work.
        model: likewise; empty where there was none.
        prompt_hash: of what it was asked for by; likewise.
        cost_usd: what it cost, US dollars.
        wall_s: what it took, seconds.
    """

    video_id: str
    step: PipelineStep
    code_version: str
    engine: str
    model: str
    prompt_hash: str
    cost_usd: float
    wall_s: float
