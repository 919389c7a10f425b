"""Small stand-ins for services that no test can call, with tests of their own.

``FakeOpenAI`` is a server that speaks as much of the OpenAI API as the analyst uses, over real HTTP on loopback. It
reads the quoted transcript out of the request and answers from it, in the form that the request's JSON schema asks for.
Run it by hand with ``python -m madvision_assets_tests.fakes --port 8099`` and point ``OPENAI_BASE_URL`` at it.
"""

import argparse
import json
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from madvision_assets_tests.openai_faults import Fault, refused

KEY = "sk-test-0123456789"
STRICT, THINKING, LOOSE = "gpt-4o", "gpt-6-luna", "local-llama"
MODELS = {
    STRICT: "gpt-4o-2024-11-20",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    THINKING: "gpt-6-luna-2026-10-01",
    LOOSE: LOOSE,
}
# What a model minds, as vendors' newer ones and servers of one's own do.
MINDED = {
    STRICT: (),
    "gpt-4o-mini": (),
    THINKING: ("temperature", "seed", "max_tokens"),
    LOOSE: ("max_completion_tokens",),
}
SCHEMA_FOLLOWS = "and nothing else: "
RUN_LENGTH = 7
MAX_MOMENTS = 5
STRENGTHS = ("exceptional", "strong", "strong", "fair", "weak")


@dataclass(frozen=True)
class Recorded:
    """A request as it came in; headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class FakeOpenAI:
    """A context manager: the server runs inside the ``with``.

    Args:
        key: the only one it takes.
        port: 0 takes a free one.

    Attributes:
        billed: tokens of each answer that was made, read and written, whether or not somebody was there to take it.
        bills: model, tokens read, and tokens written, of each of them.
    """

    def __init__(self, key: str = KEY, port: int = 0) -> None:
        self.key = key
        self.requests: list[Recorded] = []
        self.billed: list[int] = []
        self.bills: list[tuple[str, int, int]] = []
        self._faults: deque[Fault | None] = deque()
        self._usual: Fault | None = None
        self._server = _Server(self, port)

    @property
    def base_url(self) -> str:
        """What ``OPENAI_BASE_URL`` is set to."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def script(self, *faults: Fault | None) -> None:
        """What goes wrong with the next completions, in order; None lets one pass."""
        self._faults.extend(faults)

    def forget(self) -> None:
        """As new: nothing is recorded and nothing goes wrong; whom it keeps waiting it answers first.

        Somebody who gave up waiting is otherwise recorded and billed among what comes after.
        """
        self._server.let_all_go()
        for kept in (self.requests, self.billed, self.bills, self._faults):
            kept.clear()
        self._usual = None

    @property
    def is_scripted(self) -> bool:
        """Whether something is to go wrong with the next completion."""
        return bool(self._faults)

    def next_fault(self) -> Fault:
        """The fault of the completion under way."""
        return (self._faults.popleft() if self._faults else self._usual) or Fault()

    def always(self, fault: Fault | None) -> None:
        """What goes wrong with every completion for which the script has nothing; None ends it."""
        self._usual = fault

    def go_away(self) -> None:
        """Listen no more: connections are refused, and those that are open end without a word."""
        self._server.stop()

    def come_back(self) -> None:
        """Listen again, at the same address."""
        self._server = _Server(self, self._server.server_port)
        self._server.start()

    @property
    def completions(self) -> list[Recorded]:
        """The requests for an answer, those that failed included."""
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    def __enter__(self) -> Self:
        """Start serving."""
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving; responses that are held back end now."""
        self._server.stop()

    def wait(self) -> None:
        """Until it is stopped."""
        self._server.thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeOpenAI, port: int) -> None:
        self.fake = fake
        self.is_gone = threading.Event()
        self.hurry = threading.Event()  # nobody is kept waiting any more
        self.under_way = 0
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        super().__init__(("127.0.0.1", port), _Handler)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        if not self.is_gone.is_set():
            self.is_gone.set()
            self.hurry.set()
            self.shutdown()
            self.server_close()
            self.thread.join(timeout=5)

    @contextmanager
    def one_more(self) -> Iterator[None]:
        with self.changed:
            self.under_way += 1
        try:
            yield
        finally:
            with self.changed:
                self.under_way -= 1
                self.changed.notify_all()

    def let_all_go(self) -> None:
        """Until no request is under way."""
        self.hurry.set()
        with self.changed:
            if not self.changed.wait_for(lambda: not self.under_way, timeout=5):
                raise TimeoutError(f"{self.under_way} requests are under way")
        self.hurry = threading.Event()


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str, parameter: str = "") -> None:
        self.fault = refused(status, code, message, parameter=parameter)
        super().__init__(message)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        self._answer("GET", None)

    def do_POST(self) -> None:
        self._answer("POST", self.rfile.read(int(self.headers.get("content-length", "0"))))

    def log_message(self, *_: object) -> None:
        """Say nothing: tests read ``requests``."""

    def _answer(self, method: str, raw: bytes | None) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.one_more():
            try:
                body = _json_of(raw)
                self.server.fake.requests.append(Recorded(method, self.path, headers, body))
                _check_key(headers.get("authorization", ""), self.server.fake.key)
                self._route(method, body)
            except _RefusedError as error:
                self._send_fault(error.fault)

    def _route(self, method: str, body: Any) -> None:
        model = self.path.removeprefix("/v1/models/")
        if (method, self.path) == ("POST", "/v1/chat/completions"):
            self._complete(body)
        elif (method, self.path) == ("GET", "/v1/models"):
            self._send(200, {"object": "list", "data": [_model(name) for name in MODELS]})
        elif method == "GET" and model in MODELS:
            self._send(200, _model(model))
        else:
            raise _RefusedError(404, "model_not_found", f"Unknown: {method} {self.path}")

    def _complete(self, body: Any) -> None:
        fault = self.server.fake.next_fault()
        if fault.delay_s:
            self.server.hurry.wait(min(fault.delay_s, 5.0))
        if fault.closes:
            self.close_connection = True
        elif fault.body is not None:
            self._send_text(200, fault.body, "text/html", {})
        elif fault.status != 200:
            self._send_fault(fault)
        else:
            completion = _completion(_checked(body), fault)
            # Whatever a fault says of the usage, this is what it was.
            made = completion["usage"] if "usage" not in fault.change else _usage(body, json.dumps(_content(body)))
            self.server.fake.billed.append(made["total_tokens"])
            self.server.fake.bills.append((body["model"], made["prompt_tokens"], made["completion_tokens"]))
            if fault.dribbles_s:
                self._dribble(json.dumps(completion), fault.dribbles_s)
            elif fault.cuts:
                self._cut(json.dumps(completion))
            else:
                self._send(200, completion)

    def _dribble(self, text: str, seconds: float) -> None:
        """A blank now and then before the answer, as a server does that keeps a connection alive."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.close_connection = True
        with suppress(ConnectionError):
            for _ in range(int(seconds / 0.05)):
                self.wfile.write(b" ")
                self.wfile.flush()
                if self.server.hurry.wait(0.05):
                    return
            self.wfile.write(text.encode())

    def _cut(self, text: str) -> None:
        """Half of the answer that was promised."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode()[: len(text) // 2])
        self.close_connection = True

    def _send_fault(self, fault: Fault) -> None:
        error = {"message": "", "type": "invalid_request_error", "code": None, "param": None, **fault.error}
        self._send(fault.status, {"error": error}, fault.headers)

    def _send(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send_text(status, json.dumps(value), "application/json", headers or {})

    def _send_text(self, status: int, text: str, media_type: str, headers: Mapping[str, str]) -> None:
        if self.server.is_gone.is_set():
            self.close_connection = True
            return
        payload = text.encode()
        with suppress(ConnectionError):  # whoever gave up waiting is gone
            self.send_response(status)
            for name, value in {"content-type": media_type, "content-length": str(len(payload)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)


def _check_key(authorization: str, key: str) -> None:
    if authorization != f"Bearer {key}":
        given = authorization.removeprefix("Bearer ")
        raise _RefusedError(401, "invalid_api_key", f"Incorrect API key provided: {given}.")


def _json_of(raw: bytes | None) -> Any:
    try:
        return None if raw is None else json.loads(raw)
    except ValueError as error:
        raise _RefusedError(400, "invalid_json", "We could not parse the JSON body of your request.") from error


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_715_367_049, "owned_by": "openai"}


def _checked(body: Any) -> dict[str, Any]:
    """The request, if it has what the API demands for structured outputs."""
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body["messages"]:
        raise _RefusedError(400, "missing_required_parameter", "Missing required parameter: 'messages'.")
    if body.get("model") not in MODELS:
        raise _RefusedError(404, "model_not_found", f"The model '{body.get('model')}' does not exist")
    for name in MINDED[body["model"]]:
        if name in body:
            raise _RefusedError(
                400, "unsupported_parameter", f"Unsupported parameter: '{name}' is not supported.", name
            )
    if body["model"] == LOOSE:
        if (body.get("response_format") or {}).get("type", "text") not in {"text", "json_object"}:
            raise _RefusedError(400, "", "response_format.type must be 'text' or 'json_object'")
        return body
    form = (body.get("response_format") or {}).get("json_schema") or {}
    if not form.get("strict") or not isinstance(form.get("schema"), dict):
        raise _RefusedError(400, "invalid_value", "This server only gives strict structured outputs.")
    for problem in _not_strict(form["schema"]):
        raise _RefusedError(400, "invalid_json_schema", problem)
    return body


def _not_strict(schema: dict[str, Any]) -> list[str]:
    """What OpenAI's strict mode refuses: objects that are open, or whose properties are not all required."""
    objects = [schema, *schema.get("$defs", {}).values()]
    return [
        f"{part.get('title', 'an object')}: additionalProperties must be false and every property required"
        for part in objects
        if part.get("type") == "object"
        and (part.get("additionalProperties") is not False or set(part["required"]) != set(part["properties"]))
    ]


def _completion(body: dict[str, Any], fault: Fault) -> dict[str, Any]:
    content = fault.content if fault.content is not None else json.dumps(_content(body), ensure_ascii=False)
    if body["model"] == LOOSE and fault.content is None:
        content = f"Sure! Here is what I found:\n```json\n{content[:-1]},}}\n```\nLet me know if you need more."
    message = {"role": "assistant", "content": content, "refusal": None}
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}
    choice |= {name: value for name, value in fault.change.items() if name in choice}
    completion = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1_763_800_000,
        "model": MODELS[body["model"]],
        "choices": [choice],
        "usage": _usage(body, content),
        "system_fingerprint": "fp_fake",
    }
    return completion | {name: value for name, value in fault.change.items() if name in completion}


def _usage(body: dict[str, Any], content: str) -> dict[str, Any]:
    read = sum(len(message["content"]) for message in body["messages"]) // 4 + 1
    written = len(content) // 4 + 1
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return usage | {"prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}}


def _content(body: dict[str, Any]) -> dict[str, Any]:
    segments = quoted_segments(body)
    properties = _schema(body)["properties"]
    if "best_first" in properties:
        return {"best_first": _ranked(body)}
    if "moments" in properties:
        return {"moments": _moments(segments)}
    if "kind" in properties:
        return _kind(segments)
    raise _RefusedError(400, "invalid_value", f"This server has no answer with the fields {sorted(properties)}")


def _schema(body: dict[str, Any]) -> dict[str, Any]:
    """The form that the request asks for: in its own place, or in its words."""
    form = (body.get("response_format") or {}).get("json_schema")
    if form:
        return dict(form["schema"])
    return dict(json.loads(body["messages"][0]["content"].partition(SCHEMA_FOLLOWS)[2]))


def _ranked(body: dict[str, Any]) -> list[int]:
    """Those with the longest quotes first."""
    lines = [line for message in body["messages"] for line in message["content"].splitlines()]
    found = [json.loads(line) for line in lines if line.startswith('{"number":')]
    return [item["number"] for item in sorted(found, key=lambda item: (-len(item["quote"]), item["number"]))]


def quoted_segments(body: Mapping[str, Any]) -> list[tuple[int, str]]:
    """ID and text of each segment that a request quotes."""
    lines = [line for message in body["messages"] for line in message["content"].splitlines()]
    quoted = [json.loads(line) for line in lines if line.startswith('{"id":')]
    return [(item["id"], item["text"]) for item in quoted]


def _moments(segments: list[tuple[int, str]]) -> list[dict[str, Any]]:
    """The wordiest runs, best first."""
    runs = [segments[n : n + RUN_LENGTH] for n in range(0, len(segments), RUN_LENGTH)]
    wordiest = sorted(runs, key=lambda run: -sum(len(text) for _, text in run))[:MAX_MOMENTS]
    return [_moment(run, strength) for run, strength in zip(wordiest, STRENGTHS, strict=False)]


def _moment(run: list[tuple[int, str]], strength: str) -> dict[str, Any]:
    quote = max((text for _, text in run), key=len)
    return {
        "first_segment": run[0][0],
        "last_segment": run[-1][0],
        "quote": quote,
        "reason": f"It says in {len(run)} sentences what others say in an hour.",
        "title": " ".join(quote.split()[:6]).rstrip(".,?!"),
        "part": "talk",
        "strength": strength,
        "hook": run[0][1].rstrip().endswith("?"),
        "stands_alone": True,
        "emotion": False,
        "quotable": len(quote.split()) < 20,
    }


def _kind(segments: list[tuple[int, str]]) -> dict[str, Any]:
    words = Counter(word.strip(".,?!").lower() for _, text in segments for word in text.split() if len(word) > 5)
    topics = [word for word, _ in words.most_common(3)]
    asked = sum(text.rstrip().endswith("?") for _, text in segments)
    kind = "interview" if asked * 3 > len(segments) else "knowledge"
    reason = f"{asked} of {len(segments)} segments are questions."
    return {"reason": reason, "kind": kind, "confidence": "medium", "topics": topics}


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A stand-in for the OpenAI API, on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default=KEY, help="the only key it takes (default: %(default)s)")
    arguments = parser.parse_args()
    with FakeOpenAI(arguments.key, arguments.port) as fake, suppress(KeyboardInterrupt):
        print(fake.base_url, flush=True)  # noqa: T201 - what a command prints is its answer
        fake.wait()


if __name__ == "__main__":
    main()
