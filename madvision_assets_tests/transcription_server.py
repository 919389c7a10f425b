"""A stand-in for a transcription API, on loopback: it speaks as much of OpenAI's as the engine ``api`` uses.

What it hears is up to whoever makes it: words that are told, or real ones by a real model (``heard_by``). It refuses
what OpenAI refuses: a wrong key, an unknown model, a file that is too large or no sound, times of words of a model that
has none.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from math import log
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from madvision_assets.domain.heard import Asked
from madvision_assets.domain.languages import NAMES
from madvision_assets.tools.speech import Heard, SpeechEngine
from madvision_assets_tests.openai_faults import Fault, refused

KEY = "sk-test-0123456789"
WHISPER, TEXT_ONLY = "whisper-1", "gpt-4o-transcribe"
# The second gives text alone, and says so only by refusing more; the third gives segments, and passes over the rest.
HIDDEN_TEXT_ONLY, SEGMENTS_ONLY, SILENTLY_TEXT_ONLY = "parakeet", "small-local", "vosk"
MODELS = (WHISPER, TEXT_ONLY, HIDDEN_TEXT_ONLY, SEGMENTS_ONLY, SILENTLY_TEXT_ONLY)
TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
MAX_FILE_BYTES = 25 * 1024 * 1024

Samples = NDArray[np.float32]
Hear = Callable[[Samples, Asked], Mapping[str, Any]]


@dataclass(frozen=True)
class Sent:
    """A request as it came in: its fields by name, and its sound."""

    path: str
    fields: Mapping[str, Any]
    samples: Samples
    size_bytes: int


class FakeTranscriptions:
    """A context manager: the server runs inside the ``with``.

    Args:
        hear: gives the body of ``verbose_json`` for the sound of a file.
        max_file_bytes: larger files are refused.
        lists_models: whether it tells which models it has.
    """

    def __init__(self, hear: Hear, *, max_file_bytes: int = MAX_FILE_BYTES, lists_models: bool = True) -> None:
        self.hear = hear
        self.max_file_bytes = max_file_bytes
        self.lists_models = lists_models
        self.sent: list[Sent] = []
        self._faults: deque[Fault | None] = deque()
        self._server = _Server(self)

    @property
    def base_url(self) -> str:
        """What ``OPENAI_BASE_URL`` is set to."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def script(self, *faults: Fault | None) -> None:
        """What goes wrong with the next transcriptions, in order; None lets one pass."""
        self._faults.extend(faults)

    def next_fault(self) -> Fault:
        """The fault of the transcription under way."""
        return (self._faults.popleft() if self._faults else None) or Fault()

    def __enter__(self) -> Self:
        """Start serving."""
        self._server.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving; responses that are held back end now."""
        self._server.is_gone.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.thread.join(timeout=5)


def heard_by(engine: SpeechEngine) -> Hear:
    """What a real engine hears, in the API's form: words without their marks, segments with them."""

    def hear(samples: Samples, asked: Asked) -> Mapping[str, Any]:
        return verbose(engine.transcribe(samples, asked), len(samples) / 16_000)

    return hear


def verbose(heard: Heard, length_s: float) -> dict[str, Any]:
    """The body of ``verbose_json`` that says what was heard."""
    segments = [
        {
            "id": n,
            "start": round(each.start_s, 2),
            "end": round(each.end_s, 2),
            "text": each.text,
            "avg_logprob": log(max(1e-6, sum(w.probability for w in each.words) / max(1, len(each.words)))),
            "no_speech_prob": 0.01,
        }
        for n, each in enumerate(heard.segments)
    ]
    words = [
        {"word": word.text.strip().strip(".,?!;:"), "start": round(word.start_s, 2), "end": round(word.end_s, 2)}
        for each in heard.segments
        for word in each.words
    ]
    text = "".join(each.text for each in heard.segments)
    language = NAMES.get(heard.language, heard.language)
    return {"task": "transcribe", "language": language, "duration": length_s, "text": text} | {
        "segments": segments,
        "words": words,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeTranscriptions) -> None:
        self.fake = fake
        self.is_gone = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        super().__init__(("127.0.0.1", 0), _Handler)


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str, parameter: str = "") -> None:
        self.fault = refused(status, code, message, parameter=parameter)
        super().__init__(message)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length", "0"))))

    def log_message(self, *_: object) -> None:
        """Say nothing: tests read ``sent``."""

    def _answer(self, raw: bytes | None) -> None:
        try:
            self._route(raw)
        except _RefusedError as error:
            self._send_fault(error.fault)

    def _route(self, raw: bytes | None) -> None:
        given = self.headers.get("authorization", "").removeprefix("Bearer ")
        if given != KEY:
            raise _RefusedError(401, "invalid_api_key", f"Incorrect API key provided: {given}.")
        if raw is None and self.path == "/v1/models" and self.server.fake.lists_models:
            self._send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})
        elif raw is not None and self.path in {TRANSCRIPTIONS, TRANSLATIONS}:
            self._transcribe(raw)
        else:
            raise _RefusedError(404, "not_found", f"Unknown: {self.path}")

    def _transcribe(self, raw: bytes) -> None:
        fields, file = _parts(self.headers.get("content-type", ""), raw)
        samples = _decoded(file)
        self.server.fake.sent.append(Sent(self.path, fields, samples, len(file)))
        fault = self.server.fake.next_fault()
        if fault.delay_s:
            self.server.is_gone.wait(min(fault.delay_s, 5.0))
        if fault.closes:
            self.close_connection = True
        elif fault.body is not None:
            self._send_text(200, fault.body, "text/html", {})
        elif fault.status != 200:
            self._send_fault(fault)
        else:
            self._send(200, self._heard(fields, file, samples) | dict(fault.change))

    def _heard(self, fields: Mapping[str, Any], file: bytes, samples: Samples) -> dict[str, Any]:
        model, form = fields.get("model"), fields.get("response_format", "json")
        translates, words = self.path == TRANSLATIONS, "word" in fields.get("timestamp_granularities[]", [])
        if len(file) > self.server.fake.max_file_bytes:
            raise _RefusedError(413, "file_too_large", f"Maximum content size limit exceeded ({len(file)})")
        if model not in MODELS or (translates and model != WHISPER):
            raise _RefusedError(404, "model_not_found", f"The model '{model}' does not exist", "model")
        if model in {TEXT_ONLY, HIDDEN_TEXT_ONLY} and form != "json":
            told = f"response_format '{form}' is not compatible with model '{model}'. Use 'json' or 'text' instead."
            raise _RefusedError(400, "unsupported_value", told, "response_format")
        if model == SEGMENTS_ONLY and words:
            told = "timestamp_granularities: word is not supported"
            raise _RefusedError(422, "unsupported_value", told)
        prompt = fields.get("prompt", "").removesuffix(".")
        vocabulary = tuple(prompt.split(", ")) if prompt else ()
        said = dict(self.server.fake.hear(samples, Asked(fields.get("language"), translates, vocabulary)))
        if form == "json" or model == SILENTLY_TEXT_ONLY:
            return {"text": said["text"]}
        return said if words else {name: value for name, value in said.items() if name != "words"}

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


def _parts(content_type: str, raw: bytes) -> tuple[dict[str, Any], bytes]:
    """The fields of a form, those that end in [] as lists, and its file."""
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + raw)
    fields: dict[str, Any] = {}
    file = b""
    for part in message.get_payload() if message.is_multipart() else []:
        assert not isinstance(part, str)
        name = str(part.get_param("name", header="content-disposition"))
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)
        if name == "file":
            file = value
        elif name.endswith("[]"):
            fields.setdefault(name, []).append(value.decode())
        else:
            fields[name] = value.decode()
    return fields, file


def _decoded(file: bytes) -> Samples:
    """The samples of a file, mono at 16 kHz."""
    import av

    try:
        with av.open(BytesIO(file), "r") as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
            blocks = [
                block.to_ndarray()[0] for frame in container.decode(audio=0) for block in resampler.resample(frame)
            ]
    except (av.FFmpegError, IndexError) as error:
        raise _RefusedError(400, "invalid_value", "The audio file could not be decoded", "file") from error
    return np.concatenate([*blocks, np.zeros(0, np.float32)])
