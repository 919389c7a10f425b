"""What OpenAI charges per token. List prices as of November 2026 as we know them; edit here when they change."""

import re
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens: read, read from the API's own cache, and written."""

    input_usd: float
    cached_input_usd: float
    output_usd: float


PRICES = {
    "gpt-4o": Price(2.50, 1.25, 10.00),
    "gpt-4o-mini": Price(0.15, 0.075, 0.60),
}
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_MILLION = 1_000_000


def price_of(model: str) -> Price | None:
    """The price of a model or of a dated snapshot of it; None where we do not know it."""
    return PRICES.get(_SNAPSHOT.sub("", model))


@dataclass(frozen=True)
class Usage:
    """Tokens of one or several calls; cached ones are among the input."""

    requests: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """The sum."""
        return Usage(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.output_tokens + other.output_tokens,
        )

    def as_dict(self) -> dict[str, int]:
        """By name."""
        return asdict(self)

    def cost_usd(self, price: Price | None) -> float:
        """What they cost, US dollars; 0 where the price is not known."""
        if price is None:
            return 0.0
        fresh = self.input_tokens - self.cached_input_tokens
        total = fresh * price.input_usd + self.cached_input_tokens * price.cached_input_usd
        return (total + self.output_tokens * price.output_usd) / _MILLION
