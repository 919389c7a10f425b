"""One stage's calls of the OpenAI API: asked, understood, accounted for, and kept.

A call is set aside in the books before it is made and settled after it, whatever happened. What a model does not take
(a parameter, a schema) is found out once and left out from then on. An answer that cannot be used is asked for once
more, otherwise than before; it is kept as well, so that whoever asks the same again goes straight on from there.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from madvision_assets.domain.failures import (
    AnalystBadAnswerError,
    AnalystMisconfiguredError,
    AnalystRateLimitedError,
    AnalystRejectedError,
    AnalystUnavailableError,
    AnalystUnusableError,
    Failure,
)
from madvision_assets.domain.paying import Came, Desk, Planned
from madvision_assets.domain.provenance import Recipe
from madvision_assets.tools.analyst.answers import Answer, json_in
from madvision_assets.tools.analyst.completion import (
    CUT_OFF,
    CutOffError,
    NoCompletionError,
    can_be,
    name_of,
    refuse_unfinished,
    refuse_what_is_none,
    text_of,
)
from madvision_assets.tools.analyst.errors import minded_parameter
from madvision_assets.tools.analyst.manner import LIMITS, Manner, learn, manner_of, response_format
from madvision_assets.tools.analyst.models import Family, Models, Price, Schema, cost_usd
from madvision_assets.tools.analyst.openai_client import Client, Endpoint
from madvision_assets.tools.analyst.prompts import Messages, Prompt, asked_anew
from madvision_assets.tools.analyst.tokens import estimated_tokens, of_messages

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

ENGINE = "openai"
# As close to the same answer every time as the API offers.
TEMPERATURE = 0.0
SEED = 20_261_122
# A model that thinks before it answers needs room for that too, also where nobody knew that it does.
THOUGHT_TOKENS = 8_192
# Of a context, since tokens are estimated.
SAFE_SHARE = 0.95
# After the deadline whoever asks settles the call himself; by then he is dead.
GRACE_S = 120.0
# So many tries of a stage may end without a usable answer to a question, each paid for twice.
MAX_BAD = 3
# Whoever asks for a longer wait is not waited for here: the queue does that.
MAX_RETRY_AFTER_S = 60.0
# What is added to the key of an answer that was cut off.
_CUT_OFF = "-cut"

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        prompt: of which the messages are made.
        messages: as they are sent.
        form: of the answer.
        room: tokens that an answer may have.
        in_parts: whether whoever asks reads on in parts where the answer is cut off.
    """

    prompt: Prompt
    messages: Messages
    form: type[Answer]
    room: int
    in_parts: bool = False


@dataclass
class _Deadline:
    """When a question's answer is waited for no longer, on the monotonic clock; it bounds the API, not our books."""

    ends_s: float

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What is done inside takes nothing of its time."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            self.ends_s += time.monotonic() - began_s


@dataclass
class Usage:
    """What the calls of a session came to, those that failed among them."""

    requests: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    recalled: int = 0

    def add(self, came: Came) -> None:
        """One more call."""
        self.requests += 1
        self.input_tokens += came.input_tokens
        self.cached_input_tokens += came.cached_tokens
        self.output_tokens += came.output_tokens


@dataclass
class Session:
    """A context manager: leaving it closes the connections.

    Args:
        endpoint: where to ask.
        models: what is known of models.
        desk: where calls are accounted for.
        video_id: for whom it asks.
        step: the stage that asks.

    Raises:
        Failure: entering it and every call in it raise the leaves for analysts and nothing else.
    """

    endpoint: Endpoint
    models: Models
    desk: Desk
    video_id: str = ""
    step: str = ""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0
    answered_by: str = ""

    def __enter__(self) -> Self:
        """Open the client."""
        self._client = Client(self.endpoint)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        self._client.close()

    @property
    def family(self) -> Family:
        """What is known of the model."""
        return self.models.family_of(self.endpoint.model)

    def ask(self, question: Question, read: Callable[[object], T]) -> T:
        """What the model answers, as it is read.

        Args:
            question: what is asked.
            read: makes of the answer's JSON what is wanted; raises ``AnalystBadAnswerError`` where it cannot.
        """
        before = self._bad_before(question)
        if before % (MAX_BAD + 1) == MAX_BAD:
            self._note_bad(question, before + 1)  # whoever has it tried again by hand, has it asked anew
            raise AnalystUnusableError(f"asked {2 * MAX_BAD} times")
        seed = SEED + 2 * before
        try:
            return self._asked(question, read, seed)
        except CutOffError:
            if question.in_parts:
                raise
            again = replace(question, room=self._more_room(question))
        except AnalystBadAnswerError as error:
            again = replace(question, messages=asked_anew(question.messages, error.details))
        try:
            return self._asked(again, read, seed + 1)
        except AnalystBadAnswerError:
            self._note_bad(question, before + 1)
            raise

    def model_names(self) -> list[str]:
        """The names of the models that the API offers; costs nothing."""
        with self._client.sending(time.monotonic() + self.endpoint.deadline_s):
            return [model.id for model in self._client.sdk.models.list()]

    def recipe(self, prompt_version: str, prompt_hash: str) -> Recipe:
        """What did the work so far by these prompts, and what it cost."""
        import openai

        model = self.answered_by or self.endpoint.model
        manner = self._manner
        taken = {"temperature": TEMPERATURE, "seed": SEED}
        parameters = {name: value for name, value in taken.items() if name in manner.parameters}
        return Recipe(
            engine=ENGINE,
            engine_version=openai.__version__,
            model=model,
            prompt_version=prompt_version,
            prompt_hash=prompt_hash,
            parameters={**parameters, "price_known": self._price(model) is not None},
            cost_usd=round(self.cost_usd, 9),
            usage={name: value for name, value in vars(self.usage).items() if value or name != "recalled"},
        )

    def _bad_before(self, question: Question) -> int:
        """How many earlier tries of the stage had no usable answer to it."""
        noted = self.desk.answers.recall(self.video_id, f"{self._key(question, SEED)}-bad") or ""
        return int(noted) if noted.isdecimal() else 0

    def _note_bad(self, question: Question, tries: int) -> None:
        self.desk.answers.keep(self.video_id, f"{self._key(question, SEED)}-bad", str(tries))

    # --- one call ---

    def _asked(self, question: Question, read: Callable[[object], T], seed: int) -> T:
        key = self._key(question, seed)
        kept = self.desk.answers.recall(self.video_id, key)
        if kept is not None:
            value = read(json_in(kept))
            self.usage.recalled += 1
            self.answered_by = self.answered_by or self.endpoint.model
            return value
        if self.desk.answers.recall(self.video_id, f"{key}{_CUT_OFF}") is not None:
            raise CutOffError(CUT_OFF)
        import stamina

        deadline = _Deadline(time.monotonic() + self.endpoint.deadline_s)
        tries = 1 + self.endpoint.max_retries
        for attempt in stamina.retry_context(
            on=_passes_soon, attempts=tries, timeout=self.endpoint.deadline_s, wait_initial=0.5, wait_max=8.0
        ):
            with attempt:
                value = self._in_its_manner(question, read, seed, deadline)
        return value

    def _in_its_manner(self, question: Question, read: Callable[[object], T], seed: int, deadline: "_Deadline") -> T:
        """One answer, asked for without what the API minds."""
        while True:
            manner = self._manner
            try:
                return self._paid(question, read, manner, seed, deadline)
            except (AnalystRejectedError, AnalystMisconfiguredError) as error:
                self._learn(manner, error)

    def _paid(
        self, question: Question, read: Callable[[object], T], manner: Manner, seed: int, deadline: "_Deadline"
    ) -> T:
        """One call of the API, in the books from before it is sent until it is known what it came to.

        The answer is kept before the books are closed: they may be away, and whoever waits for them may be killed.
        """
        messages, room = self._messages(question, manner), self._room(question)
        worst = cost_usd(self._price(self.endpoint.model, assume=True), of_messages(messages), 0, room)
        planned = Planned(
            self.video_id,
            self.step,
            self.endpoint.model,
            question.prompt.version,
            worst,
            self.endpoint.deadline_s + GRACE_S,
        )
        with deadline.stopped():
            number = self.desk.books.reserve(planned)
        came = Came(self.endpoint.model, doubtful_usd=worst)
        try:
            completion = self._sent(came, messages, self._arguments(question, manner, room, seed), deadline.ends_s)
            text = text_of(completion)
            self._count(came, completion, messages, text)
            self._keep_unless_refused(completion, self._key(question, seed), text)
            value = read(json_in(text))
        except Failure as failure:
            came.cause = failure.code
            raise
        finally:
            self.usage.add(came)
            self.cost_usd += came.cost_usd
            with deadline.stopped():
                self.desk.books.settle(number, came)
        return value

    def _keep_unless_refused(self, completion: "ChatCompletion", key: str, text: str) -> None:
        """Keep an answer, whether or not it can be used; a refusal is not, so that it can be asked anew by hand."""
        try:
            refuse_unfinished(completion)
        except CutOffError:
            self.desk.answers.keep(self.video_id, f"{key}{_CUT_OFF}", text)
            raise
        self.desk.answers.keep(self.video_id, key, text)

    def _sent(self, came: Came, messages: Messages, arguments: dict[str, Any], ends_s: float) -> "ChatCompletion":
        import openai

        with self._client.sending(ends_s) as sending:
            try:
                response = self._client.sdk.chat.completions.with_raw_response.create(
                    model=self.endpoint.model,
                    messages=messages,  # type: ignore[arg-type] # plain dictionaries, as the SDK takes them
                    **arguments,
                )
                refuse_what_is_none(response.http_response)
                return response.parse()
            except (openai.APIStatusError, openai.APIConnectionError) as error:
                came.refused(error)
                raise
            except NoCompletionError:
                came.doubtful_usd = 0.0
                raise
            finally:
                if not sending.was_sent:
                    came.doubtful_usd = 0.0

    def _count(self, came: Came, completion: "ChatCompletion", messages: Messages, text: str) -> None:
        """What the API says that it was, or what we count where it does not say, or says what cannot be."""
        came.model = self.answered_by = name_of(completion.model) or self.endpoint.model
        used = completion.usage
        told = (
            getattr(used, "prompt_tokens", None),
            getattr(getattr(used, "prompt_tokens_details", None), "cached_tokens", None) or 0,
            getattr(used, "completion_tokens", None),
        )
        counted = of_messages(messages), 0, estimated_tokens(text)
        came.estimated = not can_be(told, counted, self._most_tokens)
        came.input_tokens, came.cached_tokens, came.output_tokens = counted if came.estimated else told  # type: ignore[assignment]
        tokens = came.input_tokens, came.cached_tokens, came.output_tokens
        price = self._price(came.model)
        came.cost_usd = cost_usd(price, *tokens)
        came.doubtful_usd = 0.0 if price else cost_usd(self._price(came.model, assume=True), *tokens)

    # --- how it is asked ---

    @property
    def _manner(self) -> Manner:
        return manner_of((self.endpoint.base_url, self.endpoint.model), self.family)

    def _learn(self, manner: Manner, error: Failure) -> None:
        """Leave out what the API minded; raises its failure where it minded something else."""
        parameter = minded_parameter(error)
        without = manner.without(parameter) if parameter else None
        if without is None:
            raise error
        learn((self.endpoint.base_url, self.endpoint.model), without)

    def _messages(self, question: Question, manner: Manner) -> Messages:
        if manner.schema is Schema.STRICT:
            return question.messages
        form = json.dumps(question.form.model_json_schema())
        said = f"Answer with one JSON object of this JSON Schema, and nothing else: {form}"
        instructions, *others = question.messages
        return [{**instructions, "content": f"{instructions['content']}\n\n{said}"}, *others]

    def _arguments(self, question: Question, manner: Manner, room: int, seed: int) -> dict[str, Any]:
        values: dict[str, Any] = {"temperature": TEMPERATURE, "seed": seed, **dict.fromkeys(LIMITS, room)}
        arguments = {name: value for name, value in values.items() if name in manner.parameters}
        return arguments | response_format(question.form, manner.schema)

    def _more_room(self, question: Question) -> int:
        """For an answer that was cut off; no more than fits the context."""
        fits = int(SAFE_SHARE * self.family.context) - of_messages(question.messages)
        return max(question.room, min(question.room + THOUGHT_TOKENS, fits))

    def _room(self, question: Question) -> int:
        wanted = question.room + (THOUGHT_TOKENS if self.family.reasoning else 0)
        return min(wanted, self.family.output)

    @property
    def _most_tokens(self) -> int:
        return 2 * (self.family.context + self.family.output)

    def _price(self, model: str, *, assume: bool = False) -> Price | None:
        found = self.models.price_of(model) or self.models.price_of(self.endpoint.model)
        return found or (self.models.assumed_price() if assume else None)

    def _key(self, question: Question, seed: int) -> str:
        """A hash of all that decides the answer."""
        schema = question.form.model_json_schema()
        asked = [self.endpoint.base_url, self.endpoint.model, question.messages, schema, TEMPERATURE, seed]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _passes_soon(error: Exception) -> bool | float:
    """Whether a failure is likely to pass within seconds, or in how many it passes."""
    if not isinstance(error, AnalystUnavailableError | AnalystRateLimitedError):
        return False
    if error.retry_after_s is None:
        return True
    return error.retry_after_s if error.retry_after_s <= MAX_RETRY_AFTER_S else False
