"""The pipeline's stages, one row each: everything that is particular to a stage, and that others derive from.

A new stage is a row here, its document, the work, and an asset (CONTRIBUTING.md). From the rows follow dispatch,
progress, breakers, pools, the pods on Kubernetes and what they may reach, costs, and the words of page and UI.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, overload

from madvision_assets.domain.clips import ClipCandidates, Clips
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Document
from madvision_assets.domain.failures import Resource
from madvision_assets.domain.provenance import InputRef, Provenance
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo

OPENAI_KEY = "OPENAI_API_KEY"


class Pool(StrEnum):
    """What bounds how many stages run at once, over all runs.

    Attributes:
        limit: so many where nobody has set another limit: one GPU here, two encoders a machine.
        why: it is bounded, for a person.
    """

    limit: int
    why: str

    @overload
    def __new__(cls, name: str) -> Self: ...
    @overload
    def __new__(cls, name: str, limit: int, why: str) -> Self: ...
    def __new__(cls, name: str, limit: int = 0, why: str = "") -> Self:
        """A member; with its name alone, mypy takes it for a look-up."""
        member = str.__new__(cls, name)
        member._value_, member.limit, member.why = name, limit, why
        return member

    DOWNLOAD = "download", 4, "sources throttle those who open many connections"
    GPU = "gpu", 1, "one model fills a GPU"
    LLM = "llm", 4, "the API limits requests and tokens a minute"
    RENDER = "render", 2, "x264 takes every core that it is given"


class Reach(StrEnum):
    """What a stage's process reaches beside database, store and name servers; on Kubernetes a label of its pod."""

    NOTHING = "nothing"
    ANALYST = "analyst"
    INTERNET = "internet"


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a stage's process needs, on Kubernetes its pod.

    Attributes:
        cores: of a processor.
        memory_gib: asked for, and at most, GiB.
        disk_gib: likewise, of scratch: the video as it comes and as it is kept, the audio, the clips; None where none
            is used.
        gpu: whether it runs on a GPU.
        reach: what it reaches beyond our own services.
        secrets: names of the variables with secrets that it uses besides those of store and database; its pod has
            no other.
        deadline_s: its pod is ended then, the wait for a node included, seconds.
    """

    cores: float
    memory_gib: tuple[float, float]
    disk_gib: tuple[float, float] | None
    gpu: bool
    reach: Reach
    secrets: frozenset[str]
    deadline_s: int


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long a stage works on a video, assumed until it is measured; seconds.

    Attributes:
        per_video_s: whatever its length.
        per_source_megabit_s: of the video as it is downloaded.
        per_clip_second_s: of the clips.
        times_speech: the length of the video so often, divided by the speed of the speech engine.
    """

    per_video_s: float = 0.0
    per_source_megabit_s: float = 0.0
    per_clip_second_s: float = 0.0
    times_speech: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The row of a stage.

    Attributes:
        document: what it makes.
        code_version: of our code for it; raised when a change of it would make a document otherwise.
        inputs: the documents that it reads.
        share: of the whole work, for the progress bar; those of all stages add up to 1.
        guard: what its breaker guards; store and disk are used by every stage, and guarded besides.
        pool: what bounds it.
        kinds: what does the work, as Dagster's UI shows it.
        title: on the page.
        doing: on the page, while it is under way.
        needs: what its process needs.
        effort: how long it works.
        resumes: whether a later try goes on from what a broken one left in the scratch folder.
        settings: names of those that change what it makes (``settings.py``).
    """

    document: type[Document]
    code_version: str = "1"
    inputs: tuple[type[Document], ...]
    share: float
    guard: Resource | None
    pool: Pool
    kinds: frozenset[str]
    title: str
    doing: str
    needs: Needs
    effort: Effort
    resumes: bool
    settings: frozenset[str]


ASKS_AN_API = Needs(
    cores=0.25,
    memory_gib=(0.5, 1),
    disk_gib=None,
    gpu=False,
    reach=Reach.ANALYST,
    secrets=frozenset({OPENAI_KEY}),
    deadline_s=1800,
)


# Speech that is heard behind an API: ten minutes of sound lie in memory and go out; the wait is for the server.
HEARS_BY_API = Needs(
    cores=1,
    memory_gib=(1, 2),
    disk_gib=(1, 60),
    gpu=False,
    reach=Reach.ANALYST,
    secrets=frozenset({OPENAI_KEY}),
    deadline_s=4 * 3600,
)


OF_THE_ANALYST = frozenset({"analyst", "openai_model", "openai_base_url"})


class PipelineStep(StrEnum):
    """The stages in pipeline order; each value is also the name of the Dagster asset that does it.

    Attributes:
        stage: its row.
    """

    stage: Stage

    @overload
    def __new__(cls, name: str) -> Self: ...
    @overload
    def __new__(cls, name: str, stage: Stage) -> Self: ...
    def __new__(cls, name: str, stage: Stage | None = None) -> Self:
        """A member; with its name alone, mypy takes it for a look-up.

        Raises:
            TypeError: a stage without its row, with another one's document, or without the key that it asks with.
        """
        if stage is None or stage.document.asset != name:
            raise TypeError(f"The stage {name!r} needs its row, with its own document.")
        if stage.guard is Resource.ANALYST and OPENAI_KEY not in stage.needs.secrets:
            raise TypeError(f"The stage {name!r} asks the analyst: its secrets must name {OPENAI_KEY}.")
        member = str.__new__(cls, name)
        member._value_, member.stage = name, stage
        return member

    RAW_VIDEO = (
        "raw_video",
        Stage(
            document=RawVideo,
            inputs=(),
            share=0.3,
            guard=Resource.HOST,
            pool=Pool.DOWNLOAD,
            kinds=frozenset({"ytdlp", "s3"}),
            title="Download",
            doing="Downloading the video",
            needs=Needs(
                cores=1,
                memory_gib=(1, 2),
                disk_gib=(10, 60),
                gpu=False,
                reach=Reach.INTERNET,
                secrets=frozenset(),
                deadline_s=3 * 3600,
            ),
            effort=Effort(per_source_megabit_s=1 / 40),  # assumed
            resumes=True,
            settings=frozenset({"max_height"}),
        ),
    )
    TRANSCRIPT = (
        "transcript",
        Stage(
            document=Transcript,
            inputs=(RawVideo,),
            share=0.4,
            guard=Resource.SPEECH,
            pool=Pool.GPU,
            kinds=frozenset({"whisper", "pytorch"}),
            title="Transcribe",
            doing="Writing down what is said",
            needs=Needs(
                cores=2,
                memory_gib=(8, 16),
                disk_gib=(1, 60),
                gpu=True,
                reach=Reach.NOTHING,
                secrets=frozenset(),
                deadline_s=4 * 3600,
            ),
            effort=Effort(times_speech=1.0),
            resumes=False,
            settings=frozenset({"whisper_engine", "whisper_model", "prefer_captions"}),
        ),
    )
    CONTENT_TYPE = (
        "content_type",
        Stage(
            document=ContentType,
            inputs=(RawVideo, Transcript),
            share=0.05,
            guard=Resource.ANALYST,
            pool=Pool.LLM,
            kinds=frozenset({"openai"}),
            title="Understand",
            doing="Finding out what kind of video it is",
            needs=ASKS_AN_API,
            effort=Effort(per_video_s=3.0),  # assumed
            resumes=False,
            settings=OF_THE_ANALYST,
        ),
    )
    CLIP_CANDIDATES = (
        "clip_candidates",
        Stage(
            document=ClipCandidates,
            code_version="2",
            inputs=(RawVideo, Transcript, ContentType),
            share=0.05,
            guard=Resource.ANALYST,
            pool=Pool.LLM,
            kinds=frozenset({"openai"}),
            title="Find the moments",
            doing="Looking for the moments worth watching",
            needs=ASKS_AN_API,
            effort=Effort(per_video_s=15.0),  # assumed
            resumes=False,
            settings=OF_THE_ANALYST,
        ),
    )
    CLIPS = (
        "clips",
        Stage(
            document=Clips,
            code_version="2",
            inputs=(RawVideo, Transcript, ClipCandidates),
            share=0.2,
            guard=None,
            pool=Pool.RENDER,
            kinds=frozenset({"ffmpeg", "s3"}),
            title="Cut the clips",
            doing="Cutting the clips",
            needs=Needs(
                cores=2,
                memory_gib=(1, 4),
                disk_gib=(5, 60),
                gpu=False,
                reach=Reach.NOTHING,
                secrets=frozenset(),
                deadline_s=2 * 3600,
            ),
            # Measured: x264 veryfast takes 308 CPU s for 450 s of clips out of 1080p; a pod has two cores.
            effort=Effort(per_clip_second_s=308 / 450 / 2),
            resumes=False,
            settings=frozenset(),
        ),
    )

    @property
    def inputs(self) -> tuple["PipelineStep", ...]:
        """The steps whose documents this one reads."""
        return tuple(PipelineStep(document.asset) for document in self.stage.inputs)

    @property
    def part(self) -> str:
        """Its name among the parts of a deployment, such as ``raw-video``."""
        return self.value.replace("_", "-")

    @property
    def next(self) -> "PipelineStep | None":
        """The step after this one; None after the last."""
        later = self.onwards()[1:]
        return later[0] if later else None

    @property
    def previous(self) -> "PipelineStep | None":
        """The step before this one; None before the first."""
        steps = tuple(PipelineStep)
        return steps[steps.index(self) - 1] if self is not steps[0] else None

    def onwards(self) -> tuple["PipelineStep", ...]:
        """This step and every later one, in pipeline order."""
        steps = tuple(PipelineStep)
        return steps[steps.index(self) :]


FIRST_STEP, *_, LAST_STEP = PipelineStep
_NAMES = {step.value for step in PipelineStep}


def earliest(*steps: PipelineStep | None) -> PipelineStep | None:
    """The first of these in pipeline order; None where none is given."""
    return next((step for step in PipelineStep if step in steps), None)


def is_stage(name: str) -> bool:
    """Whether this version of the program knows a stage of that name."""
    return name in _NAMES


def overall_progress(step: PipelineStep, fraction: float) -> float:
    """How far the whole is, 0 to 1, when a step is so far."""
    before = sum(each.stage.share for each in PipelineStep if each not in step.onwards())
    return round(min(1.0, before + step.stage.share * min(1.0, max(0.0, fraction))), 4)


def resource_of(step: PipelineStep, source: str) -> str | None:
    """Name of the breaker that guards a step of a video from this source; None where nothing shared is used."""
    guard = step.stage.guard
    if guard is Resource.HOST:
        return f"{guard}:{source}" if source else None
    return guard


def pending_steps(
    current: Mapping[PipelineStep, Provenance | None], from_step: PipelineStep | None = None
) -> tuple[PipelineStep, ...]:
    """The steps that are to be done, in pipeline order.

    A step is done where its document is there and was made from the newest documents of its inputs; whatever reads a
    step that is to be done, is to be done too. What it was made from besides, in a newer version that knows more
    stages, does not count here.

    Args:
        current: for each step the provenance of its newest document, None without one.
        from_step: this step and all later ones are to be done in any case.
    """
    newest = {step.value: made.data_version for step, made in current.items() if made is not None}
    forced = from_step.onwards() if from_step else ()
    pending: list[PipelineStep] = []
    for step in PipelineStep:
        made = current.get(step)
        fresh = made is not None and all(_is_newest(used, newest) for used in made.inputs)
        if step in forced or not fresh or any(i in pending for i in step.inputs):
            pending.append(step)
    return tuple(pending)


def _is_newest(used: InputRef, newest: Mapping[str, str]) -> bool:
    return newest.get(used.asset) == used.data_version or not is_stage(used.asset)
