"""What is known of language models: the parameters they take, how much they read, what they cost, when they leave.

Data in ``models.toml`` beside this file; a file of the operator's adds to it and goes before it.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from madvision_assets.domain.failures import AnalystMisconfiguredError
from madvision_assets.domain.provenance import Value

VARIABLE = "MADVISION_MODELS_FILE"
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_MILLION = 1_000_000


class Schema(StrEnum):
    """How the form of an answer is asked for, the strictest first."""

    STRICT = "strict"
    JSON = "json"
    TEXT = "text"


class Price(Value):
    """US dollars per million tokens: read, read out of the API's own cache, and written."""

    input: Annotated[float, Field(ge=0)]
    cached: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]


class Family(Value):
    """Models that are asked alike; ``models.toml`` explains the fields."""

    names: tuple[str, ...]
    context: Annotated[int, Field(ge=2_000)]
    output: Annotated[int, Field(ge=256)]
    parameters: frozenset[str] = frozenset()
    schema_: Annotated[Schema, Field(alias="schema")] = Schema.STRICT
    reasoning: bool = False
    price: Price | None = None
    priced: date | None = None
    leaves: date | None = None
    successor: str | None = None

    def fits(self, model: str) -> bool:
        """Whether a model, or the model of which it is a dated snapshot, belongs to the family."""
        name = _SNAPSHOT.sub("", model)
        return any(fnmatchcase(name, pattern) for pattern in self.names)

    def warning(self, today: date) -> str | None:
        """What an operator should know of the model's end; None where none is known to be near."""
        if self.leaves is None:
            return None
        when = "left the vendor's API on" if self.leaves <= today else "leaves the vendor's API on"
        then = f"; set MADVISION_OPENAI_MODEL={self.successor}" if self.successor else ""
        return f"it {when} {self.leaves.isoformat()}, by public notices{then}"


_FAMILIES = TypeAdapter(dict[str, Family])


class Models:
    """The families, those of the operator first.

    Args:
        file: the operator's; None for none.

    Raises:
        AnalystMisconfiguredError: the file cannot be read, or is not of the form.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._families = [*_read(file).values()] if file else []
        self._families += _shipped().values()

    def family_of(self, model: str) -> Family:
        """What is known of a model."""
        return next(family for family in self._families if family.fits(model))

    def price_of(self, model: str) -> Price | None:
        """What a model costs; None where nobody told."""
        return self.family_of(model).price

    def prices(self) -> Mapping[str, Price]:
        """What the models cost of which that is known, by name."""
        found: dict[str, Price] = {}
        for family in self._families:  # the operator's come first, and count
            if family.price:
                found.setdefault(family.names[0], family.price)
        return found

    def assumed_price(self) -> Price:
        """What a model of unknown price is taken to cost under a ceiling: as much as the dearest one that is known."""
        prices = [family.price for family in self._families if family.price]
        return max(prices, key=lambda price: price.output)


def cost_usd(price: Price | None, input_tokens: int, cached_tokens: int, output_tokens: int) -> float:
    """What these tokens cost, US dollars; 0 where the price is not known. Cached tokens are among the input."""
    if price is None:
        return 0.0
    fresh = input_tokens - cached_tokens
    return (fresh * price.input + cached_tokens * price.cached + output_tokens * price.output) / _MILLION


@cache
def _shipped() -> Mapping[str, Family]:
    text = files("madvision_assets.tools.analyst").joinpath("models.toml").read_text(encoding="utf-8")
    return _FAMILIES.validate_python(tomllib.loads(text))


def _read(file: Path) -> Mapping[str, Family]:
    try:
        return _FAMILIES.validate_python(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise AnalystMisconfiguredError(f"{VARIABLE} names a file that cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AnalystMisconfiguredError(f"{VARIABLE} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise AnalystMisconfiguredError(f"{VARIABLE}: {where}: {first['msg']}") from error
