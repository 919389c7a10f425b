"""What released versions left behind, made by those versions themselves (README.md), and homes to open it in."""

import json
import lzma
import tarfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

FOLDER = Path(__file__).parent
VERSIONS = tuple(sorted(path.name for path in FOLDER.glob("v*_*_*")))


@dataclass(frozen=True)
class LeftBehind:
    """A home that a released version has left, with its store, and the database that goes with it.

    Attributes:
        version: one of ``VERSIONS``.
        home: what ``MADVISION_HOME`` is to be.
        database_url: of another database than the SQLite file in the home; None for that one.
        videos: the IDs of its videos, by name: ``talk`` is done with clips, ``silence`` done without any, ``waits``
            waits before its candidates, ``fails`` failed before its kind, ``queued`` was never begun.
        tokens: what follows them, by the same names.
    """

    version: str
    home: Path
    database_url: str | None
    videos: Mapping[str, str]
    tokens: Mapping[str, str]

    @property
    def settings(self) -> dict[str, Any]:
        """What ``Settings`` are to be given besides the home."""
        return {"database_url": self.database_url} if self.database_url else {}

    @property
    def variables(self) -> dict[str, str]:
        """The same, in the environment."""
        return {"MADVISION_DATABASE_URL": self.database_url} if self.database_url else {}


def unpacked(version: str, folder: Path, database_url: str | None = None) -> LeftBehind:
    """What a version has left, in a folder of its own.

    Args:
        version: one of ``VERSIONS``.
        folder: where to; new or empty.
        database_url: of an empty PostgreSQL, which is filled; None for the SQLite file.
    """
    with tarfile.open(FOLDER / version / "home.tar.xz") as tar:
        tar.extractall(folder, filter="data")
    if database_url:
        (folder / "madvision.db").unlink()
        load_dump(FOLDER / version / "postgresql.sql.xz", database_url)
    told = json.loads((FOLDER / version / "tokens.json").read_text())
    tokens = told["tokens"]["postgresql" if database_url else "sqlite"]
    return LeftBehind(version, folder, database_url, told["videos"], tokens)


def load_dump(dump: Path, database_url: str) -> None:
    """Fill an empty PostgreSQL."""
    engine = create_engine(database_url)
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(lzma.decompress(dump.read_bytes()).decode())  # without SQLAlchemy, which would read each %
        connection.commit()
    engine.dispose()


def sample_document(version: str, asset: str) -> dict[str, Any]:
    """A document of a stage (or ``current``, a pointer) as that version wrote it."""
    document: dict[str, Any] = json.loads((FOLDER / version / "documents" / f"{asset}.json").read_text())
    return document
