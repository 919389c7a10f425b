"""Where a document came from: what did the work, from which versions of which documents, and what it cost.

Stages are named by text here: a newer version of this program may have more of them.
"""

import re
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

VIDEO_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
VideoId = Annotated[str, StringConstraints(pattern=VIDEO_ID_PATTERN)]


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputRef(Value):
    """One document that another was made from."""

    asset: str
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
        taken_from: key of the document of another video, of the same bytes, whose work it is; likewise.
    """

    engine: str
    engine_version: str = ""
    model: str | None = None
    prompt_version: str | None = None
    prompt_hash: str | None = None
    parameters: dict[str, str | int | float | bool | None] = {}
    cost_usd: Annotated[float, Field(ge=0)] = 0.0
    usage: dict[str, int] = {}
    taken_from: str | None = None

    def identity(self) -> dict[str, object]:
        """What of it changes the result: everything but cost, usage, and who paid for it."""
        return self.model_dump(exclude={"cost_usd", "usage", "taken_from"})


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

    asset: str
    run_id: str
    code_version: str
    data_version: str
    inputs: tuple[InputRef, ...] = ()
    wall_s: Annotated[float, Field(ge=0)]
    created_at: AwareDatetime

    @property
    def unpaid(self) -> Recipe:
        """What did the work, for another document that it stands in: it was paid for once."""
        recipe = Recipe.model_validate(self.model_dump(include=set(Recipe.model_fields)))
        return recipe.model_copy(update={"cost_usd": 0.0, "usage": {}})


def is_video_id(text: str) -> bool:
    """Whether it can be the ID of a video: anything else may be no part of a key or path."""
    return re.fullmatch(VIDEO_ID_PATTERN, text) is not None
