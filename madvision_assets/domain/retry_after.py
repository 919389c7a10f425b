"""How long a server asks us to wait."""

import time
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz
from math import isfinite


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the answer asks us to wait, seconds; None where it does not say (RFC 9110, section 10.2.3).

    Args:
        headers: of the response; ``retry-after-ms`` goes before ``retry-after``, which is in seconds or an HTTP date.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        wait_s = _number(headers.get(name, ""))
        if wait_s is not None:
            return max(0.0, wait_s * unit_s)
    try:
        date = parsedate_tz(headers.get("retry-after", ""))
        return max(0.0, mktime_tz(date) - time.time()) if date else None
    except (ValueError, OverflowError):  # of no year that there is
        return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
