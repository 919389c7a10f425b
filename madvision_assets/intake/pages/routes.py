"""Routes of the pages. Whatever goes wrong under them is told as a page too."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from madvision_assets.domain.addresses import MAX_ADDRESS_CHARS
from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.spoken import MAX_QUESTION_CHARS
from madvision_assets.intake.editing import editable_of
from madvision_assets.intake.limits import client_of
from madvision_assets.intake.pages.form import Form
from madvision_assets.intake.pages.render import page, problem_page, static_file
from madvision_assets.intake.pages.streams import Streams
from madvision_assets.intake.pages.words import tell
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.schemas import VideoStatus
from madvision_assets.intake.services import Services, base_url_of, services_of
from madvision_assets.intake.status import status_of
from madvision_assets.intake.submitting import submit_one
from madvision_assets.intake.withdrawing import delete
from madvision_assets.tools.database.submissions import Receipt

REFRESH_S = 3  # without JavaScript
RECONNECT_MS = 2000
LINK_S = 60.0
FOREVER_S = 365 * 24 * 3600

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route whose problems are pages."""

    def get_route_handler(self) -> Handler:
        """The handler, with its problems told as HTML."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except ProblemError as error:
                return problem_page(error)
            except Failure as failure:
                return problem_page(ProblemError.of(failure))

        return told


router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.api_route("/", methods=["GET", "HEAD"])
def show_form(request: Request, url: str = "") -> Response:
    """The form; ``?url=`` fills the address in, for a video that failed and for bookmarks."""
    return _form_page(request, Form.of({"url": url}))


@router.post("/")
async def submit(request: Request) -> Response:
    """Take the form in, and lead to the video's page."""
    _refuse_other_sites(request)
    async with request.form(max_files=0, max_fields=20) as typed:
        form = Form.of(typed)
    try:
        receipt = await run_in_threadpool(_submitted, request, form)
    except ProblemError as error:
        if not error.problem.errors:
            raise
        return _form_page(request, form.refused(error), error.problem.status)
    return RedirectResponse(f"/video/{receipt.token}", 303, {"Cache-Control": "no-store"})


@router.api_route("/videos", methods=["GET", "HEAD"])
def show_list(request: Request) -> Response:
    """The list of this browser's videos, which only its script knows, and the search in what is said in them."""
    origin = media_origin(services_of(request))
    return page("videos.html", media_origin=origin, longest_question=MAX_QUESTION_CHARS)


@router.api_route("/video/{token}", methods=["GET", "HEAD"])
def show_video(request: Request, token: str) -> Response:
    """Where a video stands, and its clips."""
    services = services_of(request)
    status = status_of(services, token, base_url_of(request))
    return page(
        "video.html",
        media_origin=media_origin(services) if status.clips else "",
        token=token,
        status=status,
        told=tell(status),
        settled=_is_settled(status),
        refresh_s=REFRESH_S,
    )


@router.post("/video/{token}/delete")
def delete_video(request: Request, token: str) -> Response:
    """Delete the video of a token, and say what became of it."""
    _refuse_other_sites(request)
    return page("deleted.html", token=token, deleted=delete(services_of(request), token))


@router.api_route("/video/{token}/edit", methods=["GET", "HEAD"])
def show_editing(request: Request, token: str) -> Response:
    """Where its clips are changed."""
    services = services_of(request)
    editable = editable_of(services, token)
    return page("edit.html", media_origin=media_origin(services), editable=editable, back=f"/video/{token}")


async def streams_of(request: Request, token: str) -> AsyncIterator[Streams]:
    """The process's streams, with a place held for one more, until the answer has been sent."""
    streams = Streams.of(request.app)
    with streams.place(client_of(request.scope)):
        await streams.check(services_of(request), token)
        yield streams


@router.get("/video/{token}/events", response_class=EventSourceResponse)
async def events(
    request: Request, token: str, streams: Annotated[Streams, Depends(streams_of)]
) -> AsyncIterator[ServerSentEvent]:
    """The video's state as it changes, as server-sent events."""
    async for status in streams.follow(services_of(request), token, base_url_of(request)):
        yield ServerSentEvent(data=status, retry=RECONNECT_MS)


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
def static(name: str) -> Response:
    """Style, script and icon."""
    file = static_file(name)
    if file is None:
        raise ProblemError("not_found")
    headers = {"Cache-Control": f"public, max-age={FOREVER_S}, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(file.content, headers=headers, media_type=file.media_type)


def _submitted(request: Request, form: Form) -> Receipt:
    return submit_one(services_of(request), form.request(), client_of(request.scope))


def _form_page(request: Request, form: Form, code: int = 200) -> Response:
    settings = services_of(request).settings
    longest_file = settings.max_bytes if settings.uploads_per_client else 0
    values = form.values()
    return page("submit.html", code, longest_address=MAX_ADDRESS_CHARS, longest_file=longest_file, **values)


def _refuse_other_sites(request: Request) -> None:
    # There are no cookies to abuse; but a hostile page could spend its visitors' share of the limits.
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise ProblemError("cross_site", kind=(403, "The form was sent by a page of another site."))


def media_origin(services: Services) -> str:
    """Where the links to clips and pictures lead, if elsewhere: the policy is asked again there."""
    link = services.store.presigned_url("media/any", LINK_S)
    parts = urlsplit(link or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _is_settled(status: VideoStatus) -> bool:
    """Whether the page is as it will stay: clips that are made but cannot be listed now will come."""
    return status.status.is_final and (bool(status.clips) or status.outcome is not Outcome.CLIPS)
