"""How a model is asked: as its family says, without what it turned out to mind."""

import threading
from dataclasses import dataclass, replace
from typing import Any

from madvision_assets.tools.analyst.answers import Answer
from madvision_assets.tools.analyst.models import Family, Schema

LIMITS = ("max_completion_tokens", "max_tokens")
RESPONSE_FORMAT = "response_format"


@dataclass(frozen=True)
class Manner:
    """How a model is asked: the parameters that it takes, how it is told the form of its answer, what it minded."""

    parameters: frozenset[str]
    schema: Schema
    minded: frozenset[str] = frozenset()

    def without(self, parameter: str) -> "Manner | None":
        """The manner after the API minded a parameter; None where nothing can be left out."""
        if parameter == RESPONSE_FORMAT:
            later = list(Schema)[list(Schema).index(self.schema) + 1 :]
            return replace(self, schema=later[0]) if later else None
        if parameter not in self.parameters:
            return None
        minded = self.minded | {parameter}
        left = self.parameters - minded
        # The limit of an answer has an old name and a new one.
        if not left & {*LIMITS}:
            left |= {*LIMITS} - minded
        return Manner(left, self.schema, minded)


# What was found out of a model at an address, by this process.
_learnt: dict[tuple[str, str], Manner] = {}
_learning = threading.Lock()


def manner_of(place: tuple[str, str], family: Family) -> Manner:
    """How a model at an address (its base URL and its name) is asked, by what is known of it so far."""
    return _learnt.get(place, Manner(family.parameters, family.schema_))


def learn(place: tuple[str, str], manner: Manner) -> None:
    """From now on it is asked so."""
    with _learning:
        _learnt[place] = manner


def forget_manners() -> None:
    """Find out anew what models do not take."""
    with _learning:
        _learnt.clear()


def response_format(form: type[Answer], schema: Schema) -> dict[str, Any]:
    """What the API is told of the form of an answer."""
    if schema is Schema.TEXT:
        return {}
    if schema is Schema.JSON:
        return {RESPONSE_FORMAT: {"type": "json_object"}}
    from openai.lib._pydantic import to_strict_json_schema

    strict = {"name": form.__name__, "strict": True, "schema": to_strict_json_schema(form)}
    return {RESPONSE_FORMAT: {"type": "json_schema", "json_schema": strict}}
