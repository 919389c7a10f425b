"""Claims about three hours of sound: nothing is lost at seams, and who is killed late costs one piece and no more."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from madvision_assets.tools.media.audio import RATE_HZ
from madvision_assets_tests import footage, real_speech
from madvision_assets_tests.real_speech import Samples
from madvision_assets_tests.sample import MODEL

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600), real_speech.HERE]

LENGTH_S, EVERY_S, FIRST_S = 3 * 3600, 1800.0, 570.0
MUSIC_S = 10  # a model makes much of music, and takes its time
KILLED_AT = 0.8
# Hears, and writes each piece that is heard and how far it is.
HEAR = """
import json, sys
from dataclasses import dataclass
from pathlib import Path
from madvision_assets.tools.media.audio import RATE_HZ
from madvision_assets.tools.speech.faster_whisper import FasterWhisper
from madvision_assets_tests.transcribing import transcribed

folder, flac, model, models, out, said = sys.argv[1:]
log = open(said, "a", buffering=1)

class Told(list):
    def append(self, fraction):
        log.write(f"at {fraction}\\n")

@dataclass(frozen=True)
class Counted(FasterWhisper):
    def transcribe_telling(self, samples, asked, tell):
        log.write(f"begins {len(samples) / RATE_HZ}\\n")
        heard = super().transcribe_telling(samples, asked, tell)
        log.write(f"heard {len(samples) / RATE_HZ}\\n")
        return heard

made = transcribed(Path(folder), Path(flac), Counted(model, Path(models)), Told())
Path(out).write_text(json.dumps([made.document.text, made.document.covered_s, len(made.document.skipped)]))
"""


def three_hours(part: Samples) -> Samples:
    """Some talk every half hour, over the seam of two windows, else silence; before the second talk there is music."""
    sound = np.zeros(LENGTH_S * RATE_HZ, np.float32)
    t = np.arange(MUSIC_S * RATE_HZ) / RATE_HZ
    chord = 0.05 * np.sum([np.sin(2 * np.pi * hz * t) for hz in (262, 330, 392)], axis=0)
    for n in range(LENGTH_S // int(EVERY_S)):
        at = round((FIRST_S + n * EVERY_S) * RATE_HZ)
        if at + len(part) > len(sound):
            break
        sound[at : at + len(part)] = part
        if n == 1:
            sound[at - len(chord) - 5 * RATE_HZ : at - 5 * RATE_HZ] = chord
    return sound


def as_flac(samples: Samples, path: Path) -> Path:
    raw = path.with_suffix(".s16")
    (np.clip(samples, -1, 1) * 32767).astype(np.int16).tofile(raw)
    footage.ffmpeg("-f", "s16le", "-ar", str(RATE_HZ), "-ac", "1", "-i", raw, path)
    raw.unlink()
    return path


def hearing(folder: Path, flac: Path, name: str) -> "subprocess.Popen[bytes]":
    """A process of its own that hears a file, and keeps its pieces in a store in the folder."""
    paths = (folder, flac, MODEL, folder / "models", folder / f"{name}.json", folder / f"{name}.log")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", HEAR, *map(str, paths)], env=environment)


def lines(folder: Path, name: str, kind: str) -> list[float]:
    log = folder / f"{name}.log"
    told = log.read_text().splitlines() if log.exists() else []
    return [float(value) for each, _, value in (line.partition(" ") for line in told) if each == kind and value]


def heard(folder: Path, name: str) -> tuple[str, float, int]:
    text, covered_s, skipped = json.loads((folder / f"{name}.json").read_text())
    return text, covered_s, skipped


def test_three_hours_lose_nothing_at_seams_and_a_killed_worker_costs_one_piece(tmp_path: Path) -> None:
    said = real_speech.talk(real_speech.recordings()[:6])
    whole = as_flac(three_hours(said.samples), tmp_path / "whole.flac")
    alone = as_flac(said.samples, tmp_path / "alone.flac")
    (tmp_path / "alone").mkdir()
    assert hearing(tmp_path / "alone", alone, "alone").wait(timeout=1200) == 0
    reference, covered_s, _ = heard(tmp_path / "alone", "alone")

    first = hearing(tmp_path, whole, "first")
    with contextlib.ExitStack() as stack:
        stack.callback(first.kill)
        while first.poll() is None and max(lines(tmp_path, "first", "at"), default=0.0) < KILLED_AT:
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGKILL)
    assert first.wait(timeout=60) == -signal.SIGKILL
    assert hearing(tmp_path, whole, "second").wait(timeout=2400) == 0

    talks = LENGTH_S // int(EVERY_S)
    begun, done = lines(tmp_path, "first", "begins"), lines(tmp_path, "first", "heard")
    after = lines(tmp_path, "second", "begins")
    pieces = len(list((tmp_path / "store" / "pieces").rglob("*-*.json")))
    assert len(done) >= 0.6 * pieces
    assert len(begun) - len(done) <= 1
    assert pieces - len(done) <= len(after) <= pieces - len(done) + 1
    text, all_covered_s, skipped = heard(tmp_path, "second")
    found = real_speech.word_errors(" ".join([said.text] * talks), text)
    assert found <= real_speech.word_errors(said.text, reference) + 0.02
    assert all_covered_s >= 0.97 * talks * covered_s
    assert skipped >= talks
