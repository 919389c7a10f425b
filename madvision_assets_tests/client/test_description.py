"""Claims about the client and the API's description: neither has what the other has not, but for what is named here."""

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from madvision_assets import client
from madvision_assets.client import Client, answers
from madvision_assets.intake.app import make_app
from madvision_assets.intake.services import make_services
from madvision_assets_tests.intake.serving import settings_in
from madvision_assets_tests.intake.test_openapi import OPERATIONS

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60

# Method and path of each operation, the client's method for it, and those of its arguments that are parameters or
# fields there.
HAS: dict[tuple[str, str], tuple[Callable[..., Any], set[str]]] = {
    ("post", "/public/video"): (Client.submit, {"url", "priority", "callback_url", "options"}),
    ("post", "/public/videos"): (Client.submit_many, {"videos"}),
    ("get", "/public/video/status"): (Client.status, {"token"}),
    ("delete", "/public/video"): (Client.delete, {"token"}),
    ("get", "/public/videos"): (Client.list_videos, {"status", "host", "title"}),
    ("get", "/public/search"): (Client.search, {"q", "limit", "before"}),
    ("get", "/public/video/clips"): (Client.editable, {"token"}),
    ("patch", "/public/video/clips"): (Client.edit, {"token", "version", "edits", "dry_run"}),
    ("post", "/public/upload"): (Client.upload, set()),
    ("get", "/public/upload/{secret}"): (Client.upload, set()),
    ("patch", "/public/upload/{secret}"): (Client.upload, set()),
    ("get", "/video/{token}/clips/{name}"): (Client.clip_file, {"token", "name"}),
    ("get", "/video/{token}/package.zip"): (Client.package, {"token"}),
    ("get", "/video/{token}/timeline.{form}"): (Client.timeline, {"token", "form"}),
    ("get", "/video/{token}/transcript.{form}"): (Client.transcript, {"token", "form"}),
}
LEAVES_OUT = {
    ("delete", "/public/upload/{secret}"),  # an upload that is not gone on with is given up by itself
    ("post", "/internal/perform-video-processing"),  # of operators
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/llms.txt"),
}
# What parameters the client gives in another way, or not at all.
IN_HEADERS, NOT_GIVEN = {"token", "MadVision-Tokens"}, {"download"}
# The schema of each value.
SCHEMAS = {
    answers.Receipt: "SubmissionAccepted",
    answers.Problem: "Problem",
    answers.FieldProblem: "FieldError",
    answers.Span: "Span",
    answers.Step: "StepView",
    answers.Clip: "ClipView",
    answers.FailedClip: "FailedClipView",
    answers.Considered: "ConsideredView",
    answers.VideoStatus: "VideoStatus",
    answers.ListedVideo: "ListedVideo",
    answers.VideoList: "VideoList",
    answers.ClipHit: "ClipHit",
    answers.Moment: "Hit",
    answers.SearchResult: "SearchResult",
    answers.Deleted: "Deleted",
    answers.EditableClip: "EditableClip",
    answers.EditableWord: "EditableWord",
    answers.EditableClips: "EditableClips",
    answers.EditAccepted: "EditAccepted",
    answers.UploadStatus: "UploadStatus",
}
JSON_TYPES = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made: dict[str, Any] = make_app(make_services(settings_in(tmp_path_factory.mktemp("described")))).openapi()
    return made


def test_every_operation_is_in_the_client_or_named_as_left_out(described: dict[str, Any]) -> None:
    there = {(method, path) for path, methods in described["paths"].items() for method in methods}

    assert there == set(OPERATIONS) == {*HAS, *LEAVES_OUT}
    assert not set(HAS) & LEAVES_OUT
    public = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert public - {"close", "download", "wait", "follow"} == {method.__name__ for method, _ in HAS.values()}


@pytest.mark.parametrize(("method", "path"), HAS, ids=" ".join)
def test_its_parameters_are_those_of_the_operation(described: dict[str, Any], method: str, path: str) -> None:
    ours, named = HAS[method, path]
    operation = described["paths"][path][method]
    theirs = {each["name"] for each in operation.get("parameters", ())} if "upload" not in path else set()
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        theirs |= set(described["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]["properties"])

    assert named <= set(inspect.signature(ours).parameters)
    assert theirs - NOT_GIVEN - IN_HEADERS == named - IN_HEADERS


def test_every_value_has_the_fields_of_its_schema_with_their_types(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]

    assert set(SCHEMAS) == {each for each in vars(answers).values() if is_dataclass(each)}
    faults = [fault for kind, name in SCHEMAS.items() for fault in _faults(kind, schemas[name], schemas)]
    assert faults == []


def test_every_value_is_to_be_had_by_name() -> None:
    assert {kind.__name__ for kind in SCHEMAS} <= set(client.__all__)
    assert [name for name in client.__all__ if not hasattr(client, name)] == []


def test_the_states_in_which_a_video_is_over_are_the_queue_s() -> None:
    from madvision_assets.domain.queue import QueueStatus

    assert {each.value for each in QueueStatus if each.is_final} == answers.OVER


def test_it_needs_nothing_but_httpx() -> None:
    code = (
        "import sys, httpx; before = set(sys.modules); import madvision_assets.client; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)); "
        "print(*sorted(name for name in sys.modules if name.startswith('madvision_assets')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=LIMIT_S
    )

    packages, modules = done.stdout.splitlines()
    assert packages.split() == ["madvision_assets"]
    assert all(re.fullmatch(r"madvision_assets(\.client(\.\w+)?)?", name) for name in modules.split())


def _faults(kind: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    theirs, hints = schema["properties"], get_type_hints(kind)
    for name in sorted(theirs.keys() ^ hints.keys()):
        yield f"{kind.__name__}.{name} is on one side alone"
    for each in fields(kind):
        if each.name not in theirs:
            continue
        if each.default is not MISSING and each.name in schema.get("required", ()):
            yield f"{kind.__name__}.{each.name} is always there"
        if not _fits(hints[each.name], theirs[each.name], schemas):
            yield f"{kind.__name__}.{each.name} is {theirs[each.name]}, and not {hints[each.name]}"


def _fits(hint: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether every value of a schema is one of a type."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return bool(SCHEMAS.get(hint) == name) or (not is_dataclass(hint) and _fits(hint, schemas[name], schemas))
    if "anyOf" in schema:
        inner = {each for each in get_args(hint) if each is not NoneType}
        other = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return len(inner) == len(other) == 1 and NoneType in get_args(hint) and _fits(inner.pop(), other[0], schemas)
    if hint is datetime:
        return schema.get("format") == "date-time"
    kind = get_origin(hint) or hint
    if kind is list:
        return schema["type"] == "array" and _fits(get_args(hint)[0], schema["items"], schemas)
    return JSON_TYPES[schema["type"]] is kind
