"""What a stage's work came to, kept on this machine from when it is done until it is published.

Hours of a GPU, or paid calls, may be behind it, and then the database is away, or the process dies. The next try at the
stage on this machine takes it up, where it would be made from the same documents by the same code under the same
settings. A file that is damaged, or of another form than this version writes, counts as none. On Kubernetes each pod
has a disk of its own, so that nothing is found there.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from madvision_assets.domain.documents import Document, Made, objects_in
from madvision_assets.domain.failures import DamagedDocumentError, NewerDocumentError, UnreadableDocumentError
from madvision_assets.domain.provenance import Recipe, Value
from madvision_assets.tools.store.documents import are_whole
from madvision_assets.tools.store.objects import ObjectStore

SUFFIX = ".made.json"

D = TypeVar("D", bound=Document)
Setting = str | int | float | bool | None


class Basis(Value):
    """What a stage's work is made from.

    Attributes:
        code_version: of its code.
        inputs: names and data versions of the documents.
        settings: those that matter to it, by name.
        anew_over: data version of the stage's document that somebody wants made anew, empty where there is none; None
            where nobody wants that.
    """

    code_version: str
    inputs: tuple[tuple[str, str], ...]
    settings: dict[str, Setting]
    anew_over: str | None = None

    def is_served_by(self, kept: "Basis", data_version: str) -> bool:
        """Whether work on the kept basis, which came to this data version, is what would be done now.

        What was done for somebody who wanted it anew answers him until another document counts than the one that he
        wanted it in place of, or itself.
        """
        if self.model_copy(update={"anew_over": kept.anew_over}) != kept:
            return False
        return self.anew_over is None or (
            kept.anew_over is not None and self.anew_over in {kept.anew_over, data_version}
        )


class _Kept(Value):
    form: Literal[1] = 1
    run_id: str
    wall_s: float
    basis: Basis
    recipe: Recipe
    data_version: str
    document: dict[str, Any]


@dataclass(frozen=True)
class TakenUp:
    """Work that an earlier try finished and did not publish.

    Attributes:
        made: what it came to.
        run_id: the run that did it.
        wall_s: how long that took, seconds.
    """

    made: Made[Any]
    run_id: str
    wall_s: float


@dataclass(frozen=True)
class Shelf:
    """Where the work of one stage of one video is kept.

    Args:
        path: of its file.
    """

    path: Path

    def put(self, sealed: Document, recipe: Recipe, basis: Basis) -> None:
        """Keep it, in place of what is there.

        Args:
            sealed: as the run that did the work would publish it.
            recipe: of the work.
            basis: of the work.

        Raises:
            OSError: the disk is full, or cannot be written to.
        """
        kept = _Kept(
            run_id=sealed.origin.run_id,
            wall_s=sealed.origin.wall_s,
            basis=basis,
            recipe=recipe,
            data_version=sealed.origin.data_version,
            document=sealed.model_dump(mode="json", exclude={"provenance"}),
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _hidden(self.path).open("w", encoding="utf-8") as file:
            file.write(kept.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        _hidden(self.path).replace(self.path)

    def take(self, kind: type[D], basis: Basis, store: ObjectStore) -> TakenUp | None:
        """What is kept here; None where it would be made otherwise by now, or its media are not whole.

        Raises:
            Failure: the store cannot be asked.
        """
        try:
            kept = _Kept.model_validate_json(self.path.read_bytes(), extra="ignore")
            document = kind.read(json.dumps(kept.document).encode(), str(self.path))
        except (OSError, ValidationError, DamagedDocumentError, NewerDocumentError, UnreadableDocumentError):
            return None
        is_ours = basis.is_served_by(kept.basis, kept.data_version) and document.schema_version <= kind.newest_version()
        if not is_ours or not are_whole(store, objects_in(kept.document)):
            return None
        return TakenUp(Made(document, kept.recipe), kept.run_id, kept.wall_s)


def discard(path: Path) -> None:
    """Keep it no longer, nor the folder of its video where nothing else is in there."""
    for each in (path, _hidden(path)):
        each.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}")
