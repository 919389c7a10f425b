"""What the service is, for programs that read before they ask: https://llmstxt.org.

Its routes and their words are those of the OpenAPI description, so that neither can tell what the other does not.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from madvision_assets.intake.services import base_url_of

# Of the description's tags; what has another tag stands under the last heading, which readers may leave out.
HEADINGS = {"public": "Submit and follow", "clips": "Clips", "uploads": "Files that are sent"}
OPTIONAL = "Optional"

ACCESS = (
    (
        "Submitting takes no key. Its answer has a `token`, shown this once, which is all it takes to see the video: "
        "`Authorization: Bearer TOKEN`."
    ),
    (
        "Routes below `/internal` take the operator's key in the same header; they, `/readyz` and `/metrics` may be "
        "reachable from inside alone."
    ),
    "Where an answer has `Retry-After`, ask again after so many seconds, not before.",
)
MORE = (
    "[OpenAPI]({base_url}/openapi.json): every route with its fields, answers and problems.",
    (
        "[Page]({base_url}/): people submit and follow here; that of a video is `/video/TOKEN`, its events "
        "`/video/TOKEN/events` (server-sent, each as the answer of `GET /public/video/status`)."
    ),
    (
        "MCP: `madvision mcp` serves the same to agents, over stdio or HTTP; ask whoever runs this service for its "
        "address and key."
    ),
)

router = APIRouter(tags=["public"])


@router.get(
    "/llms.txt",
    response_class=PlainTextResponse,
    responses={200: {"description": "Markdown", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def read_llms_txt(request: Request) -> PlainTextResponse:
    """What the service is and its routes, in Markdown for language models (llmstxt.org)."""
    return PlainTextResponse(told(request.app.openapi(), base_url_of(request)))


def told(description: Mapping[str, Any], base_url: str) -> str:
    """The text.

    Args:
        description: OpenAPI, as a dictionary.
        base_url: of the service, without a slash at its end.
    """
    info = description["info"]
    first, _, rest = info["description"].partition("\n\n")
    routes: dict[str, list[str]] = {heading: [] for heading in (*HEADINGS.values(), OPTIONAL)}
    for tag, line in _routes(description):
        routes[HEADINGS.get(tag, OPTIONAL)].append(line)
    optional = routes.pop(OPTIONAL)
    more = [line.format(base_url=base_url) for line in MORE]
    sections = {"Access": ACCESS, **routes, "More": more, OPTIONAL: optional}
    parts = [f"# {info['title']}", f"> {first}", rest]
    for heading, lines in sections.items():
        parts += [f"## {heading}", "\n".join(f"- {line}" for line in lines)]
    return "\n\n".join(parts) + "\n"


def _routes(description: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Tag and line of each route."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            summary = " ".join(operation["description"].partition("\n\n")[0].split()).replace("``", "`")
            yield operation["tags"][0], f"`{method.upper()} {path}`: {summary}"
