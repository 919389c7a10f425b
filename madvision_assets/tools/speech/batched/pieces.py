"""Sound in pieces that are decoded beside each other: cut where nobody speaks, 8 to 20 s long.

Pieces of that length lose the fewest words; of longer ones the decoder tends to end in a pause (docs/decisions/0034).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE_HZ = 16_000
FRAME = 160  # samples: a frame of the mel spectrogram, 10 ms
FRAMES_PER_S = RATE_HZ // FRAME
SHORTEST_S, LONGEST_S = 8.0, 20.0
QUIET_S = 0.3  # a pause between words: a cut is in the middle of the quietest so long
NEVER_HEARD_DBFS = -60.0  # of a frame's loudness; what is below is no speech, however near
# Of what follows when a row has ended: loud enough to be speech, for so long.
SILENCE_DBFS, BELOW_LOUD_DB, LOUD_PERCENTILE, AUDIBLE_S = -50.0, 30.0, 95, 0.3
MARGIN_S = 0.5  # of silence kept around what is heard


@dataclass(frozen=True, order=True)
class Piece:
    """A stretch of a window, in frames of 10 ms from its start."""

    start: int
    end: int

    @property
    def frames(self) -> int:
        """How long it is."""
        return self.end - self.start

    @property
    def start_s(self) -> float:
        """Seconds from the start of the window."""
        return self.start / FRAMES_PER_S

    @property
    def end_s(self) -> float:
        """Likewise."""
        return self.end / FRAMES_PER_S


@dataclass(frozen=True)
class Loudness:
    """How loud each frame of a window is, dBFS."""

    db: "NDArray[np.float32]"

    @classmethod
    def of(cls, samples: "NDArray[np.float32]") -> "Loudness":
        """That of samples at 16 kHz; what is left of a frame at their end counts as one."""
        import numpy as np

        whole = len(samples) // FRAME
        power = np.mean(np.square(samples[: whole * FRAME].reshape(whole, FRAME)), axis=1)
        if len(samples) % FRAME:
            power = np.append(power, np.mean(np.square(samples[whole * FRAME :])))
        return cls((10 * np.log10(power + 1e-12)).astype(np.float32))

    def pieces(self) -> list[Piece]:
        """The window in pieces, in time order; stretches of silence are in none."""
        import numpy as np

        shortest, longest, quiet = (round(each * FRAMES_PER_S) for each in (SHORTEST_S, LONGEST_S, QUIET_S))
        power = np.concatenate(([0.0], np.cumsum(10 ** (self.db.astype(np.float64) / 10))))
        around = power[quiet:] - power[:-quiet]  # of the 0.3 s from each frame on
        pieces: list[Piece] = []
        for first, end in self._heard():
            start = first
            while end - start > longest:
                among = around[start + shortest : start + longest - quiet]
                cut = start + shortest + len(among) - 1 - int(np.argmin(among[::-1])) + quiet // 2
                pieces.append(Piece(start, cut))
                start = cut
            pieces.append(Piece(start, end))
        return pieces

    def is_audible(self, piece: Piece) -> bool:
        """Whether there is sound in a piece that may be speech: not much below the loud parts of the window."""
        import numpy as np

        least_db = max(SILENCE_DBFS, float(np.percentile(self.db, LOUD_PERCENTILE)) - BELOW_LOUD_DB)
        return bool((self.db[piece.start : piece.end] > least_db).sum() >= AUDIBLE_S * FRAMES_PER_S)

    def _heard(self) -> list[tuple[int, int]]:
        """Stretches that are not silent, with a margin; shorter silences than would make a piece are in them."""
        import numpy as np

        loud = np.flatnonzero(self.db > NEVER_HEARD_DBFS)
        if not len(loud):
            return []
        margin, gap = round(MARGIN_S * FRAMES_PER_S), round(2 * FRAMES_PER_S)
        breaks = np.flatnonzero(np.diff(loud) > gap)
        starts, ends = loud[np.append(0, breaks + 1)], loud[np.append(breaks, len(loud) - 1)] + 1
        spans: list[tuple[int, int]] = []
        for start, end in zip((starts - margin).tolist(), (ends + margin).tolist(), strict=True):
            span = max(0, start), min(len(self.db), end)
            if spans and span[1] - spans[-1][0] <= LONGEST_S * FRAMES_PER_S:
                spans[-1] = spans[-1][0], span[1]  # a short word is heard better with what is around it
            else:
                spans.append(span)
        return spans
