"""From a template to an answer: HTML, static files, and the headers that keep a page to itself."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from madvision_assets.intake.pages import words
from madvision_assets.intake.problems import ProblemError

STATIC_FOLDER = Path(__file__).with_name("static")
MEDIA_TYPES: Mapping[str, str] = {
    "pages.css": "text/css; charset=utf-8",
    "edit.js": "text/javascript; charset=utf-8",
    "kept.js": "text/javascript; charset=utf-8",
    "search.js": "text/javascript; charset=utf-8",
    "upload.js": "text/javascript; charset=utf-8",
    "video.js": "text/javascript; charset=utf-8",
    "videos.js": "text/javascript; charset=utf-8",
    "favicon.svg": "image/svg+xml",
    "contact-sheet.svg": "image/svg+xml",
}
# Whatever a title or an address smuggles in: nothing runs, and nothing is fetched from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'{media}; "
    "media-src 'self'{media}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# What a person is told instead of the API's words.
_SENTENCES: Mapping[str, tuple[str, str]] = {
    "unknown_token": (
        "There is no such video",
        "No submission has this address, or it was deleted. Check that it was copied whole, or submit the video again.",
    ),
    "too_many_requests": (
        "Too many at once",
        "Many requests came from your network just now. Wait {wait}, then try again; nothing is lost.",
    ),
    "invalid_json": ("The form cannot be read", "Go back, and send the form again as it stands there."),
    "too_many_streams": ("Too many at once", "The page asks for news less often instead."),
    "database_unavailable": (
        "Out of order for a moment",
        "The database cannot be reached. Videos that were submitted are not lost. Try again in {wait}.",
    ),
    "newer_document": (
        "Out of order for a moment",
        "The clips are kept, but this part of the system is too old to read their list. Whoever runs it has been told.",
    ),
    "unreadable_document": (
        "Out of order",
        "The list of the clips cannot be read. Whoever runs this system has been told.",
    ),
    "cross_site": (
        "Sent by another site",
        "The form was sent by a page of another site. Submit the address here yourself.",
    ),
}


@dataclass(frozen=True)
class StaticFile:
    """A file that pages name; its version is part of its address, so that it may be kept for ever."""

    content: bytes
    media_type: str
    version: str


@cache
def static_file(name: str) -> StaticFile | None:
    """The file; None where there is none."""
    if name not in MEDIA_TYPES:
        return None
    content = (STATIC_FOLDER / name).read_bytes()
    return StaticFile(content, MEDIA_TYPES[name], hashlib.sha256(content).hexdigest()[:16])


def static_url(name: str) -> str:
    """Path of a static file, which changes with its contents.

    Raises:
        KeyError: there is no such file.
    """
    file = static_file(name)
    if file is None:
        raise KeyError(name)
    return f"/static/{name}?v={file.version}"


def page(template: str, code: int = 200, *, media_origin: str = "", **values: Any) -> HTMLResponse:
    """An answer made from a template.

    Args:
        template: its file name.
        code: HTTP status.
        media_origin: another origin that clips are played from, such as ``https://bucket.s3.amazonaws.com``.
        values: what the template shows.
    """
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": POLICY.format(media=f" {media_origin}" if media_origin else ""),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(_environment().get_template(template).render(values), code, headers)


def problem_page(error: ProblemError) -> Response:
    """A problem as a page that says what to do."""
    problem = error.problem
    headline, sentence = _SENTENCES.get(problem.code, (problem.title.rstrip("."), problem.detail))
    seconds = error.headers.get("Retry-After")
    wait = f"{seconds} seconds" if seconds else "a minute"
    answer = page(
        "problem.html",
        problem.status,
        status=problem.status,
        headline=headline,
        sentence=sentence.replace("{wait}", wait),
    )
    answer.headers.update(error.headers)
    return answer


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("madvision_assets.intake.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        static=static_url,
        path=lambda url: urlsplit(url).path,  # the page's own host, whatever name it was reached by
        shortened=words.shortened,
        clock=words.clock,
        length=words.length,
        facts=words.facts,
        size=words.size,
        percent=words.percent,
        utc=words.utc,
        step_names=words.STEP_NAMES,
        step_states=words.STEP_STATES,
        form_names=words.FORM_NAMES,
        edit_names=words.EDIT_NAMES,
        file_name=words.file_name,
        shapes_of=words.shapes_of,
    )
    return environment
