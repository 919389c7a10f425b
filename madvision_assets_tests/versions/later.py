"""Documents as a later version would write them, laid over what a released one left behind."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from madvision_assets.connections import make_store
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.store.documents import read_current
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.intake.serving import Intake, serving, settings_in
from madvision_assets_tests.released import LeftBehind

KINDS = {step.value: step.stage.document for step in PipelineStep}
# Where a later version may add a key: by document the ways to objects in it.
PLACES: dict[str, tuple[tuple[str | int, ...], ...]] = {
    "raw_video": (("media",), ("info",), ("source",), ("options",)),
    "transcript": (("segments", 1), ("segments", 0, "words", 0)),
    "content_type": (),
    "clip_candidates": (("candidates", 1), ("rejected", 0, "moment"), ("provenance", "inputs", 0)),
    "clips": (("clips", 0), ("clips", 1)),
}
# What no later version can leave out without this one being unable to read the rest.
REQUIRED = {
    "raw_video": "info", "transcript": "segments", "content_type": "kind", "clip_candidates": "outcome",
    "clips": "outcome",
}  # fmt: skip
NEWER = 99
TOLD_CAUSES = {"unreadable_document", "newer_document"}
AWAY = "cannot be reached"
AS_IT_IS = r"version|cannot be read"

Change = Callable[[dict[str, Any]], None]


@contextmanager
def served(left: LeftBehind) -> Iterator[Intake]:
    """The intake there."""
    with serving(settings_in(left.home)) as running:
        yield running


def run(left: LeftBehind, *arguments: str) -> Any:
    """One command there."""
    return CommandLine(left.home).run(*arguments)


# --- other versions' documents ---


def current_path(left: LeftBehind, asset: str, name: str = "talk") -> Path:
    """Where the document lies that counts."""
    store = left.home / "store"
    pointer = json.loads((store / asset / left.videos[name] / "current.json").read_text())
    return Path(store / pointer["key"])


def rewritten(left: LeftBehind, asset: str, *changes: Change, name: str = "talk") -> Path:
    """The document that counts, written in this version's form with these changes; gives its place."""
    document = read_current(make_store(settings_in(left.home)), KINDS[asset], left.videos[name])
    content = document.model_dump(mode="json")
    for change in changes:
        change(content)
    path = current_path(left, asset, name)
    path.write_text(json.dumps(content))
    return path


def adding(*places: tuple[str | int, ...]) -> Change:
    """A key that nobody knows, in the object at each of these places."""

    def change(content: dict[str, Any]) -> None:
        for place in places:
            found: Any = content
            for part in place:
                found = found[part]
            found["of_a_later_version"] = {"what": ["nobody", "knows"]}

    return change


def of_newer_version(content: dict[str, Any]) -> None:
    """As a later version numbers it."""
    content["schema_version"] = NEWER


def without(key: str) -> Change:
    """A key is gone."""

    def change(content: dict[str, Any]) -> None:
        del content[key]

    return change


def unreadable(left: LeftBehind, asset: str, name: str = "talk") -> Path:
    """Lay a document there that a later version wrote and this one cannot read."""
    return rewritten(left, asset, of_newer_version, without(REQUIRED[asset]), name=name)


def later_everywhere(left: LeftBehind, *changes: Change) -> None:
    """Every document of the talk has keys that nobody knows, and so has every pointer."""
    for asset, places in PLACES.items():
        rewritten(left, asset, adding((), ("provenance",), *places), *changes)
        pointer = left.home / "store" / asset / left.videos["talk"] / "current.json"
        content = json.loads(pointer.read_text())
        adding(())(content)
        pointer.write_text(json.dumps(content))
