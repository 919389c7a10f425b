"""OpenAI's own weights by their names: downloaded once, whole or not at all, and checked by their SHA-256."""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from madvision_assets.domain import disk
from madvision_assets.domain.failures import DiskFullError, ModelMissingError
from madvision_assets.tools.speech import Tell
from madvision_assets.tools.speech.weights import CHECKPOINT_SUFFIX, Form, Weights, digest_of, note_of

# Names that mean the newest of their kind.
ALIASES: Mapping[str, str] = {"turbo": "large-v3-turbo", "large": "large-v3"}
CONNECT_S, SILENT_S = 30.0, 60.0
PARTIAL_CONTENT = 206


def download(name: str, models_folder: Path, tell: Tell) -> Weights:
    """Fetches the weights of this name; what an earlier try has fetched is not fetched again.

    Raises:
        ModelMissingError: there is no model of this name, no network, or other bytes come than should.
        DiskFullError: there is no room for them.
    """
    import httpx

    address = address_of(name)
    try:
        models_folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(models_folder):
            return _downloaded(name, address, path_of(name, models_folder), tell)
    except httpx.HTTPError as error:
        raise ModelMissingError(f"{name} is not here and could not be downloaded: {error}") from error
    except OSError as error:
        if disk.is_full(error.errno):
            raise DiskFullError(f"{models_folder}: {error}") from error
        raise ModelMissingError(f"{models_folder}: {error}") from error


def _downloaded(name: str, address: str, path: Path, tell: Tell) -> Weights:
    """The weights at their path, where somebody else may have brought them in the meantime."""
    part = path.with_name(f"{path.name}.part")
    if not path.is_file():
        _fetch(address, part, lambda share: tell(share, f"downloading the model {name}"))
        sha256 = digest_of(part)
        if sha256 != urlsplit(address).path.split("/")[-2]:
            part.unlink()
            raise ModelMissingError(f"{name} came with other bytes than it should (sha256 {sha256[:16]}…)")
        note_of(path).write_text(f"{sha256}\n")
        part.replace(path)
    return Weights(name, Form.CHECKPOINT, path, digest_of(path))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time: two would write into the same part of a file."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def still_to_come(name: str) -> str:
    """That a model is not here yet, in a sentence.

    Raises:
        ModelMissingError: nor can it come, since there is none of this name.
    """
    address_of(name)
    return f"{name} is not here yet; the first transcript downloads it, which needs the network"


def address_of(name: str) -> str:
    """Where OpenAI has a model; its SHA-256 is the last folder of it.

    Raises:
        ModelMissingError: there is none of this name; the message lists those that there are.
    """
    import whisper

    known: Mapping[str, str] = whisper._MODELS  # noqa: SLF001 - pinned; the package tells names and not addresses
    if name not in known:
        raise ModelMissingError(f"there is no Whisper model {name!r}; there are {', '.join(sorted(known))}")
    return known[name]


def _fetch(address: str, part: Path, tell: Callable[[float], None]) -> None:
    """What is at an address, behind what ``part`` has of it already."""
    import httpx

    done = part.stat().st_size if part.exists() else 0
    wanted = {"Range": f"bytes={done}-"} if done else {}
    patience = httpx.Timeout(SILENT_S, connect=CONNECT_S)
    with httpx.stream("GET", address, headers=wanted, timeout=patience, follow_redirects=True) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is behind it
        answer.raise_for_status()
        goes_on = answer.status_code == PARTIAL_CONTENT
        done = done if goes_on else 0
        whole = done + int(answer.headers.get("Content-Length", 0))
        with part.open("ab" if goes_on else "wb") as file:
            for block in answer.iter_bytes():
                done += file.write(block)
                tell(min(1.0, done / whole) if whole else 0.0)


def path_of(name: str, models_folder: Path) -> Path:
    """Where the weights of this name are kept, once they are downloaded."""
    return models_folder / f"{ALIASES.get(name, name)}{CHECKPOINT_SUFFIX}"
