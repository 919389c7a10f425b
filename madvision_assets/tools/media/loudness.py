"""Loudness as platforms want it: measured by EBU R 128, then one gain for all of it, and peaks held down where need be.

ffmpeg's ``loudnorm`` gives up its one gain where peaks do not allow it, rides the level from then on, and came out at
-15.4 LUFS for -14 with the sample talk; a gain and a limiter, measured again, at -14.3.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from madvision_assets.domain.failures import CorruptMediaError
from madvision_assets.tools.media.ffmpeg import budget_s, run, source, target

TARGET_LUFS = -14.0
# AAC adds a little to the peaks that it is given: -2 before comes to -1.5 or less after.
PEAK_DB = -2.0
SILENCE_LUFS = -60.0  # what is quieter is noise, or nothing
LEAST_PEAK = 1e-5  # -100 dB: there is no less
RATE_HZ, OVERSAMPLED_HZ = 48_000, 192_000  # peaks lie between samples (ITU-R BS.1770)
ATTACK_MS, RELEASE_MS = 3, 60
MAX_GAIN_DB = 40.0
MAX_TRIES, NEAR_LU = 3, 1.0  # so little missing is there once it is added
_LOUDNESS, _PEAK = "lavfi.r128.I", "lavfi.r128.true_peaks_ch"


@dataclass(frozen=True)
class Loudness:
    """What was measured.

    Attributes:
        lufs: integrated loudness.
        true_peak_db: of all channels, dB of full scale.
    """

    lufs: float
    true_peak_db: float


@dataclass(frozen=True)
class Levelling:
    """What brings sound to -14 LUFS with true peaks below -1.5 dB.

    Attributes:
        gain_db: of all of it; 0 for silence.
        limited: whether peaks have to be held down.
    """

    gain_db: float = 0.0
    limited: bool = False

    def applied(self, stream: Any) -> Any:
        """A sound of ffmpeg-python, levelled."""
        if not self.limited:
            return stream.filter("volume", f"{self.gain_db:.2f}dB") if self.gain_db else stream
        stream = stream.filter("aresample", OVERSAMPLED_HZ).filter("volume", f"{self.gain_db:.2f}dB")
        limit = 10 ** (PEAK_DB / 20)
        stream = stream.filter("alimiter", limit=f"{limit:.4f}", level="false", attack=ATTACK_MS, release=RELEASE_MS)
        return stream.filter("aresample", RATE_HZ)


def levelling(path: Path, folder: Path) -> Levelling:
    """Measures all sound of a file; again as it would come out, where peaks have to be held down.

    Args:
        path: a media file.
        folder: scratch.

    Raises:
        CorruptMediaError: it cannot be measured.
        Failure: what ``ffmpeg.run`` raises.
    """
    found = measure(path, folder)
    if found.lufs <= SILENCE_LUFS:
        return Levelling()
    gain_db = min(MAX_GAIN_DB, TARGET_LUFS - found.lufs)
    if found.true_peak_db + gain_db <= PEAK_DB:
        return Levelling(gain_db)
    for _ in range(MAX_TRIES):
        missing_db = TARGET_LUFS - measure(path, folder, Levelling(gain_db, limited=True)).lufs
        gain_db = min(MAX_GAIN_DB, gain_db + missing_db)
        if missing_db <= NEAR_LU:
            break
    return Levelling(gain_db, limited=True)


def measure(path: Path, folder: Path, through: Levelling | None = None) -> Loudness:
    """The loudness of a file's sound, as it is or as it would come out.

    Raises:
        CorruptMediaError: it cannot be measured.
        Failure: what ``ffmpeg.run`` raises.
    """
    told = folder / f"{path.name}.r128"
    stream = source(path).audio
    stream = through.applied(stream) if through else stream
    stream = stream.filter("ebur128", metadata=1, peak="true", framelog="quiet")
    stream = stream.filter("ametadata", mode="print", file=f"./{told.name}")
    out = target([stream], folder / f"{path.name}.null", format="null")
    try:
        run(out, timeout_s=budget_s(path.stat().st_size), what="measuring loudness", makes=[told])
        lines = [line.partition("=") for line in told.read_text().splitlines()]
    finally:
        told.unlink(missing_ok=True)
    values = [float(value) for name, _, value in lines if name == _LOUDNESS]
    peaks = [float(value) for name, _, value in lines if name.startswith(_PEAK)]
    if not values or not peaks:
        raise CorruptMediaError("its loudness cannot be measured")
    return Loudness(values[-1], 20 * math.log10(max(*peaks, LEAST_PEAK)))
