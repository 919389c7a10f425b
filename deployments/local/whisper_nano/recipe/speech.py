"""Speak the grammar's sentences with flite and espeak-ng: the training, dev and test splits.

A split is two files: ``<split>.i16`` (all utterances one after the other, 16-bit mono, 16 kHz) and
``<split>.json`` (for each utterance its text, voice, rate, offset ``off`` and length ``n`` in
samples; ``align.py`` adds ``words``).
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import tempfile
import wave
from functools import partial
from math import gcd
from multiprocessing import Pool
from pathlib import Path

import grammar
import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

SAMPLE_RATE = 16_000  # Hz
PEAK = 0.5  # of full scale
EDGE_LEVEL = 0.01  # of the peak: what counts as speech at an utterance's edges
SHORTEST = 1_600  # samples; anything shorter is a failed synthesis

# How often each voice speaks; the last published run kept the four named in the README.
VOICES = {
    "flite:slt": 0.16,
    "flite:rms": 0.10,
    "flite:awb": 0.10,
    "flite:kal16": 0.18,
    "espeak:en-us": 0.14,
    "espeak:en-us+m3": 0.12,
    "espeak:en-us+f2": 0.10,
    "espeak:en-us+f4": 0.10,
}
UNSEEN_VOICES = ("espeak:en-us+m7", "espeak:en-gb-scotland", "espeak:en-us+f5")

Request = tuple[str, str, float, float]  # text, voice, rate, pitch
Samples = NDArray[np.int16]


def flite(text: str, voice: str, rate: float, pitch: float) -> bytes:
    """Speak with flite; returns a WAV file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={1 / rate:.3f}"]
        if voice == "kal16":  # the only one of the voices whose pitch flite can set
            command += ["--setf", f"int_f0_target_mean={105 * (1 + 0.2 * pitch):.1f}"]
        subprocess.run([*command, "-t", text, "-o", str(out)], check=True, capture_output=True)
        return out.read_bytes()


def espeak(text: str, voice: str, rate: float, pitch: float) -> bytes:
    """Speak with espeak-ng; returns a WAV file's bytes."""
    command = ["espeak-ng", "-v", voice, "-s", str(int(165 * rate))]
    command += ["-p", str(int(50 + 22 * pitch)), "--stdout", text]
    return subprocess.run(command, check=True, capture_output=True).stdout


def speak(text: str, voice: str, rate: float = 1.0, pitch: float = 0.0) -> Samples:
    """Speak one sentence.

    Args:
        text: The sentence.
        voice: Engine and voice, such as ``flite:slt``.
        rate: Speed; above 1 is faster.
        pitch: From -1 to 1.

    Returns:
        16 kHz mono samples, silence trimmed, peak at half of full scale.
    """
    engine, name = voice.split(":")
    raw = (flite if engine == "flite" else espeak)(text, name, rate, pitch)
    with wave.open(io.BytesIO(raw)) as reader:
        source_rate = reader.getframerate()
    # espeak-ng cannot know the length when it writes the header, so read past the header by hand
    samples = np.frombuffer(raw[44:], np.int16).astype(np.float32)
    if source_rate != SAMPLE_RATE:
        step = gcd(source_rate, SAMPLE_RATE)
        samples = resample_poly(samples, SAMPLE_RATE // step, source_rate // step)
    level = np.abs(samples)
    loud = np.flatnonzero(level > EDGE_LEVEL * level.max())
    samples = samples[max(0, loud[0] - 160) : loud[-1] + 320]
    samples = samples.astype(np.float32) * (PEAK * 32767 / np.abs(samples).max())
    return samples.astype(np.int16)


def try_to_speak(request: Request) -> Samples | None:
    """Speak, or return None where the engine fails on a sentence."""
    try:
        return speak(*request)
    except (subprocess.CalledProcessError, IndexError, ValueError):
        return None


def pick_voice(dice: random.Random, voices: list[str] | None) -> str:
    """Draw a voice: by the shares in VOICES, or evenly from ``voices``."""
    if voices:
        return dice.choice(voices)
    return dice.choices(list(VOICES), weights=list(VOICES.values()))[0]


def draw_texts(train: int) -> tuple[list[str], list[str]]:
    """Draw (training texts, 500 other texts); no text of one is in the other or in DEMO."""

    def plain(text: str) -> str:
        return text.lower().strip(".?")

    taken = {plain(text) for text in grammar.DEMO}
    dice, held_out = random.Random(999), []
    while len(held_out) < 500:
        text = grammar.generate(dice)
        if plain(text) not in taken:
            held_out.append(text)
            taken.add(plain(text))
    dice, training = random.Random(1), []
    while len(training) < train:
        text = grammar.generate(dice)
        if plain(text) not in taken:
            training.append(text)
    return training, held_out


def build_split(folder: Path, split: str, texts: list[str], seed: int, voices: list[str] | None, jobs: int) -> None:
    """Speak ``texts`` in random voices, rates and pitches, and write the split's two files."""
    dice = random.Random(seed)
    requests = [(text, pick_voice(dice, voices), dice.uniform(0.85, 1.2), dice.uniform(-1, 1)) for text in texts]
    index, offset = [], 0
    with (folder / f"{split}.i16").open("wb") as out, Pool(jobs) as pool:
        spoken = pool.imap(try_to_speak, requests, chunksize=16)
        for (text, voice, rate, _), samples in zip(requests, spoken, strict=True):
            if samples is None or len(samples) < SHORTEST:
                continue
            out.write(samples.tobytes())
            entry = {"text": text, "voice": voice, "rate": round(rate, 3)}
            index.append({**entry, "off": offset, "n": len(samples)})
            offset += len(samples)
    (folder / f"{split}.json").write_text(json.dumps(index), encoding="utf-8")
    print(f"{split}: {len(index)} utterances, {offset / SAMPLE_RATE / 60:.1f} min", flush=True)


def main() -> None:
    """Make the four splits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder to write to")
    parser.add_argument("--train", type=int, default=11_000, help="number of training texts")
    parser.add_argument(
        "--held-out",
        type=int,
        default=300,
        help="test texts (at most 300); dev and unseen get a third",
    )
    parser.add_argument("--voices", nargs="*", help="only these voices, each equally often")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    training, held_out = draw_texts(options.train)
    third = options.held_out // 3
    build = partial(build_split, options.data, jobs=options.jobs)
    build("test", held_out[: options.held_out], 2, options.voices)
    build("dev", held_out[300 : 300 + third], 3, options.voices)
    build("unseen", held_out[400 : 400 + third], 4, list(UNSEEN_VOICES))
    build("train", training, 5, options.voices)


if __name__ == "__main__":
    main()
