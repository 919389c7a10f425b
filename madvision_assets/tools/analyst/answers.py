"""The form of a language model's answers: closed choices, segment IDs and verbatim words, no numbers of its own.

Field order is the order of writing: reasons come before verdicts. Scores are computed here, so that they can be
compared. A server that keeps no schema answers in a form that is near enough: what can be understood is understood, and
one moment that cannot be spoils no other.
"""

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from madvision_assets.domain.clips import Moment, RejectedMoment, RejectionRule
from madvision_assets.domain.content_type import Confidence, ContentKind
from madvision_assets.domain.failures import AnalystBadAnswerError
from madvision_assets.domain.plain_text import cleaned

MAX_TITLE_CHARS = 80
MAX_TEXT_CHARS = 600
MAX_QUOTE_CHARS = 1_000
MAX_TOPICS = 5
MAX_TOPIC_CHARS = 40
MAX_MOMENTS = 200  # of one answer; a model that writes more does not choose
MAX_WRAPPINGS = 4
MAX_NUMBER = 2**31  # no segment has a larger one, and no table takes it


class Strength(StrEnum):
    """How good a moment is, in words that a model uses consistently."""

    EXCEPTIONAL = "exceptional"
    STRONG = "strong"
    FAIR = "fair"
    WEAK = "weak"


class Part(StrEnum):
    """What a stretch is to the whole; only talk is worth a clip."""

    TALK = "talk"
    SPONSOR = "sponsor"
    INTRO = "intro"
    OUTRO = "outro"
    HOUSEKEEPING = "housekeeping"


# A weak moment stays below ``selection.WEAK_BELOW`` whatever else is said of it, a fair one above it.
STRENGTH_SCORES = {Strength.EXCEPTIONAL: 0.8, Strength.STRONG: 0.6, Strength.FAIR: 0.38, Strength.WEAK: 0.15}
PRAISES = ("hook", "stands_alone", "emotion", "quotable")
PRAISE_SCORE = 0.045


def _choice(value: object) -> object:
    """A choice as servers without a schema write it."""
    return value.strip().casefold() if isinstance(value, str) else value


def _first_word(value: str) -> str:
    """Of a choice, which may be followed by what it means."""
    return next(iter(re.findall(r"[^\W\d_]+", value.casefold())), "")


def _text(value: object) -> object:
    return "" if value is None else value


def _texts(value: object) -> object:
    if isinstance(value, str):
        return value.split(",")
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _number(value: int) -> int:
    if abs(value) >= MAX_NUMBER:
        raise ValueError("no segment has such a number")
    return value


Text = Annotated[str, BeforeValidator(_text)]
Number = Annotated[int, AfterValidator(_number)]  # the schema that is sent stays as it is
Choice = BeforeValidator(_choice)


class Answer(BaseModel):
    """Base of the answers; what is added to them is not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True, json_schema_extra={"additionalProperties": False})

    @classmethod
    def understood(cls, told: object) -> Self:
        """The answer that some JSON is.

        Raises:
            AnalystBadAnswerError: it is none; says which field is amiss, and never what is in it.
        """
        try:
            return cls.model_validate(cls._tidied(told))
        except ValidationError as error:
            raise AnalystBadAnswerError(f"the answer does not fit its form: {amiss(error)}") from error

    @classmethod
    def _tidied(cls, told: object) -> object:
        """What a server without a schema wrote, as one with a schema would have."""
        return told


class KindAnswer(Answer):
    """The kind of a video."""

    reason: Text
    kind: Annotated[ContentKind, Choice]
    confidence: Annotated[Confidence, Choice]
    topics: Annotated[list[str], BeforeValidator(_texts)]

    @classmethod
    def _tidied(cls, told: object) -> object:
        """A kind off the list is another one; what is said of it is not sure."""
        found = _unwrapped(told, "kind")
        if not isinstance(found, Mapping) or not isinstance(found.get("kind"), str):
            return found
        kind, confidence = _first_word(found["kind"]), _choice(found.get("confidence"))
        is_listed = kind in {*ContentKind}
        sure = confidence if is_listed and confidence in {*Confidence} else Confidence.LOW
        return {
            "reason": "",
            "topics": [],
            **found,
            "kind": kind if is_listed else ContentKind.OTHER,
            "confidence": sure,
        }

    @property
    def clean_reason(self) -> str:
        """For a person."""
        return cleaned(self.reason, MAX_TEXT_CHARS)

    def clean_topics(self) -> tuple[str, ...]:
        """The topics on one line each, without empty ones and repetitions."""
        topics = (cleaned(topic, MAX_TOPIC_CHARS) for topic in self.topics)
        return tuple(dict.fromkeys(topic for topic in topics if topic))[:MAX_TOPICS]


class MomentAnswer(Answer):
    """One moment."""

    first_segment: Number
    last_segment: Number
    quote: Text
    reason: Text
    title: Text
    part: Annotated[Part, Choice]
    strength: Annotated[Strength, Choice]
    hook: bool
    stands_alone: bool
    emotion: bool
    quotable: bool

    @property
    def criteria(self) -> dict[str, float]:
        """What each criterion adds to the score."""
        praises = {name: PRAISE_SCORE if getattr(self, name) else 0.0 for name in PRAISES}
        return {"strength": STRENGTH_SCORES[self.strength], **praises}

    @property
    def score(self) -> float:
        """From 0 to 1."""
        return round(sum(self.criteria.values()), 3)

    def moment(self) -> Moment:
        """The moment as the selection takes it; a missing title is taken from the quote."""
        quote = cleaned(self.quote, MAX_QUOTE_CHARS)
        title = cleaned(self.title, MAX_TITLE_CHARS) or cleaned(quote, MAX_TITLE_CHARS) or "Untitled"
        return Moment(
            first_segment=self.first_segment,
            last_segment=self.last_segment,
            title=title,
            reason=cleaned(self.reason, MAX_TEXT_CHARS),
            quote=quote,
            score=self.score,
            criteria=self.criteria,
        )


class MomentsAnswer(Answer):
    """All moments of one reading."""

    moments: list[MomentAnswer]


class RankAnswer(Answer):
    """Numbers of moments, the best first."""

    best_first: list[int]

    @classmethod
    def _tidied(cls, told: object) -> object:
        """A list by itself is the ranking."""
        found = _unwrapped(told, "best_first")
        return {"best_first": found} if isinstance(found, list) else found


_ANSWERING = frozenset({"moments", "kind", "best_first"})
# What a server without a schema may leave out of a moment.
_USUALLY = {"part": Part.TALK.value, "reason": "", "title": "", **dict.fromkeys(PRAISES, False)}


def moments_of(told: object) -> tuple[list[Moment], list[RejectedMoment]]:
    """The moments of an answer that can be understood, and the others, each with what is amiss.

    Raises:
        AnalystBadAnswerError: there is no list of moments in it, or none of them can be understood.
    """
    listed = _listed(told)
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise AnalystBadAnswerError("the answer has no list of moments")
    good: list[Moment] = []
    bad: list[RejectedMoment] = []
    for each in listed[:MAX_MOMENTS]:
        try:
            answer = MomentAnswer.model_validate({**_USUALLY, **each} if isinstance(each, Mapping) else each)
        except ValidationError as error:
            bad.append(_rejected(each, RejectionRule.MALFORMED, amiss(error)))
            continue
        if answer.part is Part.TALK:
            good.append(answer.moment())
        else:
            details = f"it is {answer.part.value}, not talk"
            bad.append(RejectedMoment(moment=answer.moment(), rule=RejectionRule.NOT_TALK, details=details))
    if bad and not good and all(each.rule is RejectionRule.MALFORMED for each in bad):
        raise AnalystBadAnswerError(f"no moment of the answer fits its form: {bad[0].details}")
    return good, bad


def _unwrapped(told: object, name: str) -> object:
    """The object with this field, however a server without a schema wraps it."""
    for _ in range(MAX_WRAPPINGS):
        if isinstance(told, str):
            told = json_in(told)
        elif isinstance(told, Mapping) and name not in told and len(told) == 1:
            told = next(iter(told.values()))
        elif isinstance(told, list) and len(told) == 1 and isinstance(told[0], Mapping):
            told = told[0]
        else:
            break
    return told


def _listed(told: object) -> object:
    """The list of moments, however a server without a schema wraps it: by another name, as text, one by itself."""
    for _ in range(MAX_WRAPPINGS):
        if isinstance(told, str):
            told = json_in(told)
        if not isinstance(told, Mapping):
            return told
        if "moments" in told:
            told = [] if told["moments"] is None else told["moments"]
        elif "first_segment" in told:
            return [told]
        elif told and all(isinstance(each, Mapping) for each in told.values()) and _are_moments([*told.values()]):
            return [*told.values()]
        elif len(told) == 1:
            told = next(iter(told.values()))
        else:
            return None
    return told


def amiss(error: ValidationError) -> str:
    """Which fields are amiss and why; the values, which quote the transcript, are left out."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in found[:3])


def _rejected(told: object, rule: RejectionRule, details: str) -> RejectedMoment:
    """What can be told of a moment that could not be understood."""
    fields: Mapping[str, Any] = told if isinstance(told, Mapping) else {}

    def text(name: str, max_chars: int) -> str:
        return cleaned(fields[name], max_chars) if isinstance(fields.get(name), str) else ""

    def number(name: str) -> int:
        value = fields.get(name)
        return value if isinstance(value, int) and abs(value) < MAX_NUMBER else -1

    moment = Moment(
        first_segment=number("first_segment"),
        last_segment=number("last_segment"),
        title=text("title", MAX_TITLE_CHARS) or "Untitled",
        reason=text("reason", MAX_TEXT_CHARS),
        quote=text("quote", MAX_QUOTE_CHARS),
        score=0.0,
    )
    return RejectedMoment(moment=moment, rule=rule, details=details)


def json_in(text: str) -> object:
    """The JSON of an answer; where it stands among other text, or is a little damaged, it is found and mended once.

    Raises:
        AnalystBadAnswerError: there is none.
    """
    if not text.strip():
        raise AnalystBadAnswerError("the answer is empty")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    begin = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if begin >= 0:
        import json_repair

        try:
            found = json_repair.loads(text[begin:], skip_json_loads=True)
        except (ValueError, RecursionError):
            found = None
        # Of several the last is the answer: a model that thinks aloud writes others before it, or a note behind it.
        if isinstance(found, list) and found and not _are_moments(found):
            answers = [each for each in found if _is_an_answer(each)]
            only_notes = all(isinstance(each, dict | list) for each in found)
            found = answers[-1] if answers else found[-1] if only_notes else found
        # What had to be mended and then holds nothing is an answer that broke off, and no empty one.
        if isinstance(found, dict | list) and (any(found.values()) if isinstance(found, dict) else found):
            return found
    raise AnalystBadAnswerError("the answer is not JSON")


def _is_an_answer(found: object) -> bool:
    return isinstance(found, Mapping) and not _ANSWERING.isdisjoint(found)


def _are_moments(found: Sequence[object]) -> bool:
    return all(isinstance(each, Mapping) and "first_segment" in each for each in found)
