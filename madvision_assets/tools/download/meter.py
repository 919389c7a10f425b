"""How far a download is, over all its files."""

import time
from collections.abc import Callable
from typing import Any

from madvision_assets.tools.download.messages import Progress
from madvision_assets.tools.download.options import refuse_too_large

MIN_INTERVAL_S = 0.3
MIB = 1024 * 1024


class Meter:
    """Turns yt-dlp's progress hooks into a few ``Progress`` messages a second, and stops what grows too large.

    Args:
        say: takes each message.
        max_bytes: of all files together.

    Attributes:
        length_known: the site told the length of what is fetched now; without it a cut looks like the end.
    """

    def __init__(self, say: Callable[[Progress], None], max_bytes: int) -> None:
        self._say = say
        self._max_bytes = max_bytes
        self._sizes_bytes: dict[str, float] = {}
        self._done_bytes: dict[str, int] = {}
        self._fractions: dict[str, float] = {}
        self._said_at_s = 0.0
        self._fraction = 0.0
        self.length_known = False

    def plan(self, info: dict[str, Any]) -> None:
        """Learns which files will be fetched, by the info of the chosen formats; sizes may be unknown (0)."""
        for each in info.get("requested_formats") or [info]:
            size_bytes = each.get("filesize") or each.get("filesize_approx") or 0
            self._sizes_bytes[str(each.get("format_id"))] = size_bytes

    def on_progress(self, state: dict[str, Any]) -> None:
        """yt-dlp's progress hook.

        Raises:
            TooLargeError: what was announced or fetched is over the limit.
        """
        part = str(state.get("info_dict", {}).get("format_id"))
        done_bytes = state.get("downloaded_bytes") or 0
        exact_bytes = state.get("total_bytes") or 0
        size_bytes = exact_bytes or state.get("total_bytes_estimate") or 0
        self._done_bytes[part] = done_bytes
        if state.get("status") == "downloading":
            self.length_known = bool(exact_bytes)
        if size_bytes:
            self._sizes_bytes[part] = size_bytes
        self._fractions[part] = _fraction(state, done_bytes, size_bytes)
        others_bytes = sum(done for name, done in self._done_bytes.items() if name != part)
        refuse_too_large(others_bytes + max(done_bytes, exact_bytes), self._max_bytes)
        self._report(force=state.get("status") == "finished")

    def on_postprocess(self, state: dict[str, Any]) -> None:
        """yt-dlp's postprocessor hook: merging and mending come after the last byte."""
        if state.get("status") == "started" and state.get("postprocessor") != "MoveFiles":
            self._say(Progress(fraction=self._fraction, text="putting the file together", arriving=False))

    def _report(self, *, force: bool) -> None:
        now_s = time.monotonic()
        if not force and now_s - self._said_at_s < MIN_INTERVAL_S:
            return
        self._said_at_s = now_s
        total_bytes = sum(self._sizes_bytes.values())
        known = all(self._sizes_bytes.values())
        weights = self._sizes_bytes if known else dict.fromkeys(self._sizes_bytes, 1.0)
        weight = sum(weights.values()) or 1.0
        fraction = sum(weights[name] * self._fractions.get(name, 0.0) for name in weights) / weight
        self._fraction = max(self._fraction, min(fraction, 1.0))
        done = f"{sum(self._done_bytes.values()) / MIB:.1f}"
        text = f"{done} of {total_bytes / MIB:.1f} MiB" if known and total_bytes else f"{done} MiB"
        self._say(Progress(fraction=self._fraction, text=text, size_bytes=int(total_bytes) if known else 0))


def _fraction(state: dict[str, Any], done_bytes: int, size_bytes: float) -> float:
    if state.get("status") == "finished":
        return 1.0
    if state.get("fragment_count"):
        return float(min((state.get("fragment_index") or 0) / state["fragment_count"], 1.0))
    return min(done_bytes / size_bytes, 1.0) if size_bytes else 0.0
