"""Real voices with their texts, read beside the project; who needs them skips where they are not.

Whatever else a listener meets is made here: a telephone's band, a hissing line.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray

from madvision_assets.tools.media.audio import RATE_HZ, audible_spans, read_windows

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "speech"
GAP_S = 0.7
SHORTEST_S = 2.0  # commands of two words tell more of the normaliser than of who hears them
HERE = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the recordings are not here: {FOLDER.name}/ beside the project")

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """What somebody said, and when: seconds from the start of the samples."""

    text: str
    samples: Samples
    speech_s: tuple[float, float]


@dataclass(frozen=True)
class Talk:
    """Recordings one behind the other.

    Attributes:
        samples: mono, 16 kHz.
        text: of all.
        spans: from the first word of each to its last, seconds.
    """

    samples: Samples
    text: str
    spans: tuple[tuple[float, float], ...]

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return len(self.samples) / RATE_HZ


@lru_cache(maxsize=1)
def recordings() -> tuple[Recording, ...]:
    """Every recording that is more than a command, in the order of the index."""
    found = []
    for entry in json.loads((FOLDER / "index.json").read_text()):
        if entry["duration_s"] > SHORTEST_S and len(entry["text"].split()) > 4:
            samples = next(iter(read_windows(FOLDER / entry["file"]))).samples
            spans = audible_spans(samples, RATE_HZ)
            found.append(Recording(entry["text"], samples, (spans[0][0], spans[-1][1])))
    return tuple(found)


def talk(chosen: Sequence[Recording] | None = None, *, gap_s: float = GAP_S, seed: int | None = None) -> Talk:
    """Recordings, all of them by default, with silence between; with a seed by a telephone that hisses."""
    parts, spans, at = [], [], 0
    chosen = recordings() if chosen is None else chosen
    for number, each in enumerate(chosen):
        samples = each.samples if seed is None else by_telephone(each.samples, seed + number)
        spans.append((at / RATE_HZ + each.speech_s[0], at / RATE_HZ + each.speech_s[1]))
        parts += [samples, np.zeros(round(gap_s * RATE_HZ), np.float32)]
        at += len(samples) + len(parts[-1])
    return Talk(np.concatenate(parts), " ".join(each.text for each in chosen), tuple(spans))


def by_telephone(samples: Samples, seed: int, *, noise_db: float = -20.0) -> Samples:
    """As a telephone carries it: 300 to 3,400 Hz in 8 bits by the mu-law, with noise so far below the speech."""
    narrow = _band(samples, 300, 3400)
    narrow *= 0.7 / max(1e-6, float(np.abs(narrow).max()))
    coded = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log1p(255) * 127) / 127
    carried = np.sign(coded) * (256 ** np.abs(coded) - 1) / 255
    loud = np.abs(carried) > 0.02
    level = float(np.sqrt(np.mean(carried[loud] ** 2))) if loud.any() else 0.1
    noise = _band(np.random.default_rng(seed).standard_normal(len(samples)).astype(np.float32), 200, 3600)
    noise *= level * 10 ** (noise_db / 20) / float(np.sqrt(np.mean(noise**2)))
    heard: Samples = (carried + noise).astype(np.float32)
    return heard


def word_errors(said: str, heard: str) -> float:
    """Share of words that were heard wrong, missed or invented, after Whisper's own normaliser."""
    from whisper.normalizers import EnglishTextNormalizer

    plain = EnglishTextNormalizer()
    return float(jiwer.wer(plain(said), plain(heard)))


def _band(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0
    narrow: Samples = np.fft.irfft(spectrum, len(samples)).astype(np.float32)
    return narrow
