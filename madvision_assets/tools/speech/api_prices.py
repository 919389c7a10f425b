"""What transcriptions cost, and until when models are offered, as OpenAI says it. Edit here when it changes."""

import re
from math import ceil

AS_OF = "2026-04"
# US dollars for a minute of sound. Of those billed by tokens it is OpenAI's own estimate.
USD_PER_MINUTE = {
    "whisper-1": 0.006,
    "gpt-4o-transcribe": 0.006,
    "gpt-4o-mini-transcribe": 0.003,
}
# Announced with the SDK's version 3.54.
SHUT_DOWN_ON = dict.fromkeys((*USD_PER_MINUTE, "gpt-4o-transcribe-diarize"), "2027-02-26")
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_MINUTE_S = 60
OFFICIAL_HOST = "api.openai.com"


def usd_per_minute(model: str, host: str) -> float | None:
    """The price of a minute of sound at OpenAI; None where it is not known, as on another's server."""
    return USD_PER_MINUTE.get(_SNAPSHOT.sub("", model)) if host == OFFICIAL_HOST else None


def billed_s(seconds: float) -> int:
    """Seconds of sound that are paid for: whole ones."""
    return ceil(seconds - 1e-6)


def cost_usd(seconds: float, price: float | None) -> float:
    """What so many seconds cost, US dollars; 0 where the price is not known."""
    return round(seconds * (price or 0.0) / _MINUTE_S, 8)
