"""The steps of the pipeline, in order, and which of them follow from a given one."""

from enum import StrEnum


class PipelineStep(StrEnum):
    """The five stages; each value is also the name of the Dagster asset that does it."""

    RAW_VIDEO = "raw_video"
    TRANSCRIPT = "transcript"
    CONTENT_TYPE = "content_type"
    CLIP_CANDIDATES = "clip_candidates"
    CLIPS = "clips"

    @property
    def inputs(self) -> tuple["PipelineStep", ...]:
        """The steps whose documents this one reads."""
        return _INPUTS[self]

    def onwards(self) -> tuple["PipelineStep", ...]:
        """This step and every later one, in pipeline order."""
        steps = tuple(PipelineStep)
        return steps[steps.index(self) :]


_INPUTS: dict[PipelineStep, tuple[PipelineStep, ...]] = {
    PipelineStep.RAW_VIDEO: (),
    PipelineStep.TRANSCRIPT: (PipelineStep.RAW_VIDEO,),
    PipelineStep.CONTENT_TYPE: (PipelineStep.RAW_VIDEO, PipelineStep.TRANSCRIPT),
    PipelineStep.CLIP_CANDIDATES: (
        PipelineStep.RAW_VIDEO,
        PipelineStep.TRANSCRIPT,
        PipelineStep.CONTENT_TYPE,
    ),
    PipelineStep.CLIPS: (
        PipelineStep.RAW_VIDEO,
        PipelineStep.TRANSCRIPT,
        PipelineStep.CLIP_CANDIDATES,
    ),
}
