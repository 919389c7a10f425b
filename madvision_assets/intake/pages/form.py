"""The form: what was typed becomes a submission, or stands there again with what is wrong beside each field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import ValidationError

from madvision_assets.domain.queue import MAX_PRIORITY
from madvision_assets.domain.renditions import CaptionStyle, Shape
from madvision_assets.domain.video import Options, seconds_of
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.schemas import SubmissionRequest

_USUAL = Options()
SHAPES = tuple(shape.value for shape in Shape if shape is not Shape.SOURCE)  # a box to tick for each
DEFAULTS: Mapping[str, str] = {
    "url": "",
    "max_clips": str(_USUAL.max_clips),
    "min_clip_s": f"{_USUAL.min_clip_s:g}",
    "max_clip_s": f"{_USUAL.max_clip_s:g}",
    "topic": "",
    "start_s": "",
    "end_s": "",
    "title_language": "",
    "language": "",
    "vocabulary": "",
    "translate": "",
    **dict.fromkeys(SHAPES, ""),
    "captions": "",
    "priority": "0",
}
OPTIONS = ("max_clips", "min_clip_s", "max_clip_s")
TIMES = ("start_s", "end_s")
WORDED_OPTIONS = ("topic", "title_language", "language", "vocabulary", "translate", *TIMES)
PICTURE_OPTIONS = (*SHAPES, "captions")
WHOLE_NUMBERS = ("max_clips", "priority")
# In the place of pydantic's words, which speak to programs.
_FAULTS: Mapping[str, str] = {
    "url": "Give the full address of a video, beginning with https:// or http://.",
    "max_clips": "Give a whole number from 1 to 50.",
    "min_clip_s": "Give a number of seconds from 1 to 600.",
    "max_clip_s": "Give a number of seconds from 5 to 1200.",
    "priority": f"Give a whole number from -{MAX_PRIORITY} to 0.",
    "topic": "Give at most 200 letters.",
    "start_s": "Give a time in the video: seconds, or as 12:34 or 1:02:03.",
    "end_s": "Give a time in the video that is later than the first: seconds, or as 12:34 or 1:02:03.",
    "title_language": "Give the code of a language, such as en, de or ja, or leave it empty.",
    "language": "Give the code of a language, such as en, de or ja, or leave it empty.",
    "vocabulary": "Give at most 50 names and words, of 60 letters each and 600 together.",
    "translate": "Tick it, or do not.",
    "captions": f"Choose one of the styles: {', '.join(CaptionStyle)}.",
    "options": "The shortest clip must not be longer than the longest one.",
}


@dataclass(frozen=True)
class Form:
    """The form as it stands on the page.

    Attributes:
        typed: each field's text.
        errors: what is wrong, by field.
        others: what is wrong with none of the fields.
    """

    typed: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    errors: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, typed: Mapping[str, Any]) -> Self:
        """What a browser sent; a field that is missing or empty has its usual value."""
        texts = {name: typed.get(name) for name in DEFAULTS}
        return cls({name: text if isinstance(text, str) and text else DEFAULTS[name] for name, text in texts.items()})

    def request(self) -> SubmissionRequest:
        """What it asks for.

        Raises:
            ProblemError: ``invalid_request``; says which fields.
        """
        spoken: dict[str, Any] = {name: self.typed[name] for name in WORDED_OPTIONS if self.typed[name]}
        spoken |= {name: _time(spoken[name]) for name in TIMES if name in spoken}
        worded = {*WORDED_OPTIONS, *PICTURE_OPTIONS}
        typed = {name: _number(name, text) for name, text in self.typed.items() if name not in worded}
        options: dict[str, Any] = {name: typed.pop(name) for name in OPTIONS} | spoken
        options["renditions"] = [shape for shape in SHAPES if self.typed[shape]]
        if self.typed["captions"]:
            options["captions"] = self.typed["captions"]
        if "vocabulary" in options:
            options["vocabulary"] = options["vocabulary"].split(",")
        if "translate" in options:
            options["translate"] = True
        try:
            return SubmissionRequest.model_validate({**typed, "options": options})
        except ValidationError as error:
            raise ProblemError.of_validation(error) from error

    def refused(self, error: ProblemError) -> Self:
        """With what is wrong beside the fields."""
        problem = error.problem
        errors: dict[str, str] = {}
        for each in problem.errors or ():
            name = _field_of(each.pointer or "")
            own_words = problem.code != "invalid_request"
            if name in _FAULTS:
                errors["min_clip_s" if name == "options" else name] = each.detail if own_words else _FAULTS[name]
        return type(self)(self.typed, errors, () if errors else (problem.detail,))

    def values(self) -> dict[str, Any]:
        """What the template shows."""
        changed = any(self.typed[name] != DEFAULTS[name] for name in DEFAULTS if name != "url")
        return {
            "typed": self.typed,
            "ticked": [shape for shape in SHAPES if self.typed[shape]],
            "errors": {name: self.errors.get(name, "") for name in DEFAULTS},
            "refused": bool(self.errors or self.others),
            "others": self.others,
            "focus": next((name for name in DEFAULTS if name in self.errors), "url"),
            "more": changed or bool(self.errors.keys() - {"url"}),
        }


def _field_of(pointer: str) -> str:
    """The field that a fault lies in, be it in one of its terms."""
    place = pointer.split("/")
    return place[2] if len(place) > 2 and place[1] == "options" else place[-1]  # noqa: PLR2004 - /options/NAME


def _time(text: str) -> str | float:
    """Seconds; the text where it is no time, which is refused later."""
    try:
        return seconds_of(text)
    except ValueError:
        return text


def _number(name: str, text: str) -> str | int | float:
    """The number that was typed; the text where it is none, which is refused later."""
    if name == "url":
        return text.strip()
    try:
        return int(text) if name in WHOLE_NUMBERS else float(text)
    except ValueError:
        return text
