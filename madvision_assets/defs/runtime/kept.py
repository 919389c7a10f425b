"""What a stage's work came to, kept on this machine from when it is done until it is published.

Hours of a GPU, or paid calls, may be behind it, and then the database is away, or the process dies. The next try at the
stage on this machine takes it up, where it would be made from the same documents by the same code. A file that is
damaged, or of another form than this version writes, counts as none. On Kubernetes each pod has a disk of its own, so
that nothing is found there.
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


class Basis(Value):
    """What a stage's work is made from: by which version of its code, from which versions of which documents."""

    code_version: str
    inputs: tuple[tuple[str, str], ...]


class _Kept(Value):
    form: Literal[1] = 1
    run_id: str
    wall_s: float
    basis: Basis
    recipe: Recipe
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

    def put(self, made: Made[Document], basis: Basis, run_id: str, wall_s: float) -> None:
        """Keep it, in place of what is there.

        Raises:
            OSError: the disk is full, or cannot be written to.
        """
        kept = _Kept(
            run_id=run_id,
            wall_s=wall_s,
            basis=basis,
            recipe=made.recipe,
            document=made.document.model_dump(mode="json"),
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _hidden(self.path).open("w", encoding="utf-8") as file:
            file.write(kept.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        _hidden(self.path).replace(self.path)

    def take(self, kind: type[D], basis: Basis, store: ObjectStore) -> TakenUp | None:
        """What is kept here; None where it would be made from anything else by now, or its media are not whole.

        Raises:
            Failure: the store cannot be asked.
        """
        try:
            kept = _Kept.model_validate_json(self.path.read_bytes(), extra="ignore")
            document = kind.read(json.dumps(kept.document).encode(), str(self.path))
        except (OSError, ValidationError, DamagedDocumentError, NewerDocumentError, UnreadableDocumentError):
            return None
        is_ours = kept.basis == basis and document.schema_version <= kind.newest_version()
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
