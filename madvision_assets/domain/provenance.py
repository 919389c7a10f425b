"""Where a document came from, and the version that its content gives it.

A document is immutable and named by its *data version*: a hash of what it says and of what it was made from (the
versions of its inputs, the code version, engine, model and prompt), but not of when, where or at what cost it was made.
The same work done twice gives the same name.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Generic, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from madvision_assets.domain.queue import PipelineStep

VIDEO_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
VideoId = Annotated[str, StringConstraints(pattern=VIDEO_ID_PATTERN)]

DATA_VERSION_HEX_DIGITS = 32


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


D_co = TypeVar("D_co", bound="Document", covariant=True)


class InputRef(Value):
    """One document that another was made from."""

    asset: PipelineStep
    uri: str
    data_version: str


class Recipe(Value):
    """What did the work: filled in by the tool that did it.

    Attributes:
        engine: the program, such as ``openai-whisper`` or ``yt-dlp``.
        engine_version: its version.
        model: name of the model, with a hash of its weights where they are a file of ours.
        prompt_version: our version of the prompt, where there is one.
        prompt_hash: sha256 of the prompt's text (hex), the transcript excluded.
        parameters: what else changes the result.
        cost_usd: paid to third parties, US dollars. Not part of the data version.
        usage: tokens and the like, by name. Not part of the data version.
    """

    engine: str
    engine_version: str = ""
    model: str | None = None
    prompt_version: str | None = None
    prompt_hash: str | None = None
    parameters: dict[str, str | int | float | bool | None] = {}
    cost_usd: Annotated[float, Field(ge=0)] = 0.0
    usage: dict[str, int] = {}

    def identity(self) -> dict[str, object]:
        """What of it changes the result: everything but cost and usage."""
        return self.model_dump(exclude={"cost_usd", "usage"})


class Provenance(Recipe):
    """The block that every stored document carries.

    Attributes:
        asset: the stage.
        run_id: the Dagster run.
        code_version: the asset's code version.
        data_version: see the module's docstring.
        inputs: the exact documents it was made from.
        wall_s: seconds that the stage took.
        created_at: when the document was sealed, timezone-aware.
    """

    asset: PipelineStep
    run_id: str
    code_version: str
    data_version: str
    inputs: tuple[InputRef, ...] = ()
    wall_s: Annotated[float, Field(ge=0)]
    created_at: AwareDatetime


class Document(Value):
    """Base of what the stages hand on; ``asset`` names the stage that makes it."""

    asset: ClassVar[PipelineStep]

    schema_version: int = 1
    video_id: VideoId
    provenance: Provenance | None = None

    @property
    def origin(self) -> Provenance:
        """The provenance block.

        Raises:
            ValueError: the document was not sealed yet.
        """
        if self.provenance is None:
            msg = f"{self.asset} of {self.video_id} has no provenance: seal it before you use it."
            raise ValueError(msg)
        return self.provenance

    @property
    def key(self) -> str:
        """Key in the store: ``<asset>/<video_id>/<data_version>.json``."""
        return document_key(self.asset, self.video_id, self.origin.data_version)

    def seal(
        self,
        recipe: Recipe,
        *,
        run_id: str,
        code_version: str,
        inputs: tuple[InputRef, ...],
        wall_s: float,
        created_at: AwareDatetime,
    ) -> Self:
        """This document with its provenance block, and so with its name."""
        version = self._data_version(recipe, code_version, inputs)
        provenance = Provenance(
            **recipe.model_dump(),
            asset=self.asset,
            run_id=run_id,
            code_version=code_version,
            data_version=version,
            inputs=inputs,
            wall_s=round(wall_s, 3),
            created_at=created_at,
        )
        return self.model_copy(update={"provenance": provenance})

    def _data_version(self, recipe: Recipe, code_version: str, inputs: tuple[InputRef, ...]) -> str:
        identity = {
            "content": self.model_dump(mode="json", exclude={"provenance"}),
            "recipe": recipe.identity(),
            "code_version": code_version,
            "inputs": [[i.asset, i.data_version] for i in inputs],
        }
        text = json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:DATA_VERSION_HEX_DIGITS]


@dataclass(frozen=True)
class Made(Generic[D_co]):
    """What a stage's work comes to: a document, not sealed yet, and what made it."""

    document: D_co
    recipe: Recipe


def is_video_id(text: str) -> bool:
    """Whether it can be the ID of a video: anything else may be no part of a key or path."""
    return re.fullmatch(VIDEO_ID_PATTERN, text) is not None


def document_key(asset: str, video_id: str, data_version: str) -> str:
    """Key of one version of a document."""
    return f"{asset}/{video_id}/{data_version}.json"


def pointer_key(asset: str, video_id: str) -> str:
    """Key of the small object that points at a document's newest version."""
    return f"{asset}/{video_id}/current.json"


def pending_steps(
    current: Mapping[PipelineStep, Provenance | None], from_step: PipelineStep | None = None
) -> tuple[PipelineStep, ...]:
    """The steps that are to be done, in pipeline order.

    A step is done where its document is there and was made from the newest documents of its inputs; whatever reads a
    step that is to be done, is to be done too.

    Args:
        current: for each step the provenance of its newest document, None without one.
        from_step: this step and all later ones are to be done in any case.
    """
    forced = from_step.onwards() if from_step else ()
    pending: list[PipelineStep] = []
    for step in PipelineStep:
        made = current.get(step)
        fresh = made is not None and all(_is_newest(used, current) for used in made.inputs)
        if step in forced or not fresh or any(i in pending for i in step.inputs):
            pending.append(step)
    return tuple(pending)


def _is_newest(used: InputRef, current: Mapping[PipelineStep, Provenance | None]) -> bool:
    newest = current.get(used.asset)
    return newest is not None and newest.data_version == used.data_version
