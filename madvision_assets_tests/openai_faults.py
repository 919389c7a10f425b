"""What can go wrong with one request to the OpenAI API, as ``fakes.FakeOpenAI`` plays it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        status: HTTP status; 200 spoils the answer instead.
        error: ``type``, ``code`` and ``message`` of the error body.
        headers: sent along.
        change: laid over the answer's only choice (or its ``message``), or over the whole answer.
        content: the model's answer in place of the right one.
        body: sent in place of JSON, as a web page.
        closes: the connection ends without a response.
        delay_s: the response is held back so long, at most 5 s, or until the server closes.
        dribbles_s: for so long there come blanks instead of the answer.
        cuts: the connection ends in the middle of the answer.
    """

    status: int = 200
    error: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    change: Mapping[str, Any] = field(default_factory=dict)
    content: str | None = None
    body: str | None = None
    closes: bool = False
    delay_s: float = 0.0
    dribbles_s: float = 0.0
    cuts: bool = False


_AT_ONCE = {"retry-after-ms": "1"}


def server_error(status: int = 500) -> Fault:
    """A 5xx."""
    return Fault(status, {"type": "server_error", "message": "The server had an error"}, _AT_ONCE)


def rate_limited(headers: Mapping[str, str] | None = None) -> Fault:
    """A 429 with room to come; by default after a millisecond."""
    error = {"type": "requests", "code": "rate_limit_exceeded", "message": "Rate limit reached for gpt-4o"}
    return Fault(429, error, _AT_ONCE if headers is None else headers)


def insufficient_quota() -> Fault:
    """A 429 that only money ends."""
    error = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your current quota"}
    return Fault(429, error, _AT_ONCE)


def refused(
    status: int, code: str, message: str = "Refused", kind: str = "invalid_request_error", *, parameter: str = ""
) -> Fault:
    """Any other 4xx; it may name the parameter that it minds."""
    named = {"param": parameter} if parameter else {}
    return Fault(status, {"type": kind, "code": code, "message": message, **named})


def closed_connection() -> Fault:
    """The connection ends without a word."""
    return Fault(closes=True)


def slow(delay_s: float) -> Fault:
    """The right answer, late."""
    return Fault(delay_s=delay_s)


def dribbling(seconds: float) -> Fault:
    """Blanks for so long, and then the right answer."""
    return Fault(dribbles_s=seconds)


def cut_connection() -> Fault:
    """The connection ends in the middle of the right answer."""
    return Fault(cuts=True)


def odd_usage(usage: object) -> Fault:
    """The right answer, and numbers of tokens that are none."""
    return Fault(change={"usage": usage})


def refusal(text: str = "I'm sorry, I can't help with that.") -> Fault:
    """The model declines."""
    return Fault(change={"message": {"role": "assistant", "content": None, "refusal": text}})


def cut_off() -> Fault:
    """The answer reached its length limit."""
    return Fault(change={"finish_reason": "length"}, content='{"moments": [{"first_seg')


def content_filtered() -> Fault:
    """The answer was stopped by the content filter."""
    return Fault(change={"finish_reason": "content_filter"}, content="")


def broken_json() -> Fault:
    """The answer is not JSON."""
    return Fault(content='{"moments": [')


def wrong_form() -> Fault:
    """The answer is JSON of another form."""
    return Fault(content='{"moments": [{"start": "00:12", "end": "00:34"}]}')


def wrong_segments() -> Fault:
    """Segments that the transcript does not have, and a quote that nobody said."""
    praise = {"hook": True, "stands_alone": True, "emotion": False, "quotable": False}
    good = {"reason": "It matters.", "title": "Title", "part": "talk", "strength": "strong", **praise}
    moments = [
        {"first_segment": 900_000, "last_segment": 900_005, "quote": "We learned a lot.", **good},
        {"first_segment": 0, "last_segment": 5, "quote": "Nobody ever said these exact words.", **good},
    ]
    return Fault(content=json.dumps({"moments": moments}))


def with_200(told: object, /, **choice: object) -> Fault:
    """An error that a proxy sends with status 200; it may come after a part of an answer."""
    choices = [{"index": 0, "message": {"role": "assistant", "content": "{"}, **choice}] if choice else None
    error = {"error": told} if told else {}
    return Fault(body=json.dumps({"id": "x", "object": "chat.completion", "choices": choices, **error}))


def no_choices() -> Fault:
    """A completion without an answer in it."""
    return Fault(change={"choices": []})


def web_page() -> Fault:
    """What stands at a wrong address."""
    return Fault(body="<html><body>It works!</body></html>")
