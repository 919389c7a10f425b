"""Check the sample talk: word errors, sentence times, and that no sentence was trained on.

Transcribes ``sample_talk.mp4`` with stock openai-whisper and the whisper-nano checkpoint, plain
and in variants (other decoder, quieter, shifted, cut in two), and compares with
``sample_talk.json``. Exits with 1 when any variant has 5 % word errors or more, or when a sentence
of the talk is among the texts that the checkpoint was trained on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import lzma
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import torch
import whisper
from numpy.typing import NDArray
from whisper.normalizers import EnglishTextNormalizer

HERE = Path(__file__).resolve().parent
NANO = HERE.parent / "whisper_nano"
SAMPLE_RATE = 16_000  # Hz, as Whisper hears
WER_LIMIT = 0.05
TIME_LIMIT = 0.15  # seconds
TRAINING_SEED = 1  # the recipe draws its training texts with random.Random(1)
TRAINING_TEXTS = 150_000  # more than the recipe ever drew

Audio = NDArray[np.float32]


def decode(path: Path) -> Audio:
    """Decode a file's audio with PyAV into mono 16 kHz samples (-1 to 1)."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    parts = []
    with av.open(str(path)) as container:
        for frame in [*container.decode(audio=0), None]:  # None drains the resampler
            parts += [out.to_ndarray()[0] for out in resampler.resample(frame)]
    return np.concatenate(parts)


def decode_through_flac(path: Path) -> Audio:
    """Decode a file's audio by ffmpeg to 16-bit FLAC first, as a pipeline may store it."""
    with tempfile.TemporaryDirectory() as folder:
        flac = Path(folder) / "talk.flac"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-vn"]
        command += ["-ac", "1", "-ar", str(SAMPLE_RATE), "-sample_fmt", "s16", str(flac)]
        subprocess.run(command, check=True)
        return decode(flac)


def variants(path: Path, truth: dict[str, Any]) -> Iterator[tuple[str, int, list[Audio]]]:
    """Yield (name, torch threads, pieces of audio to transcribe one after the other)."""
    audio = decode(path)
    flac = decode_through_flac(path)
    sections = truth["sections"]
    cut = round(sections[len(sections) // 2]["start_s"] * SAMPLE_RATE)
    yield "mp4, 1 thread", 1, [audio]
    yield "mp4, 2 threads", 2, [audio]
    yield "flac s16, 1 thread", 1, [flac]
    yield "flac s16, 2 threads", 2, [flac]
    yield "mp4 scaled by 0.8", 2, [audio * np.float32(0.8)]
    shift = np.zeros(round(0.37 * SAMPLE_RATE), np.float32)
    yield "mp4 after 0.37 s of silence", 2, [np.concatenate([shift, audio])]
    yield "mp4 cut at a section pause", 2, [audio[:cut], audio[cut:]]


def load_checkpoint(path: Path) -> whisper.Whisper:
    """Load a checkpoint with stock openai-whisper, unpacking ``.xz`` first."""
    if path.suffix != ".xz":
        return whisper.load_model(str(path), device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder) / path.stem
        unpacked.write_bytes(lzma.decompress(path.read_bytes()))
        return whisper.load_model(str(unpacked), device="cpu")


def transcribe(
    model: whisper.Whisper, pieces: list[Audio], word_times: bool = True
) -> tuple[str, list[dict[str, Any]]]:
    """Transcribe the pieces one by one; return all text and the segments of the last piece."""
    text, segments = "", []
    for piece in pieces:
        result = model.transcribe(
            piece,
            fp16=False,
            condition_on_previous_text=False,
            word_timestamps=word_times,
            language="en",
        )
        text += result["text"]
        segments = result["segments"]
    return text, segments


def word_errors(truth: list[str], heard: list[str]) -> int:
    """Count the fewest substituted, dropped and inserted words between two word lists."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(truth, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
            diagonal, row[j] = row[j], best
    return row[-1]


def sentence_time_errors(truth: list[dict[str, Any]], segments: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Compare sentence times with the nearest heard segment's; shape (sentences, 2), seconds."""
    starts = np.array([segment["start"] for segment in segments])
    ends = np.array([segment["end"] for segment in segments])
    return np.array([[np.abs(starts - s["start_s"]).min(), np.abs(ends - s["end_s"]).min()] for s in truth])


def load_grammar(path: Path) -> ModuleType:
    """Load the recipe's grammar from its file (the recipe is not an installed package)."""
    spec = importlib.util.spec_from_file_location("whisper_nano_grammar", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(sentence: str) -> str:
    """Reduce a sentence to its words, lower case."""
    return " ".join(re.findall(r"[a-z]+", sentence.lower()))


def trained_on(sentences: list[str], grammar: ModuleType, count: int) -> list[str]:
    """Return the sentences that occur among the first ``count`` training texts or the demo."""
    dice = random.Random(TRAINING_SEED)
    known = {plain(grammar.generate(dice)) for _ in range(count)}
    known |= {plain(sentence) for sentence in grammar.DEMO}
    return [sentence for sentence in sentences if plain(sentence) in known]


def unknown_words(sentences: list[str], grammar: ModuleType) -> list[str]:
    """Return the talk's words that the checkpoint does not know."""
    known = {word.lower() for word in grammar.VOCABULARY}
    return sorted({word for s in sentences for word in plain(s).split()} - known)


def check_words(model: whisper.Whisper, video: Path, truth: dict[str, Any]) -> float:
    """Print the word error rate of every variant; return the worst."""
    normalise = EnglishTextNormalizer()
    reference = normalise(" ".join(s["text"] for s in truth["sentences"])).split()
    worst = 0.0
    for name, threads, pieces in variants(video, truth):
        torch.set_num_threads(threads)
        text, _ = transcribe(model, pieces)
        errors = word_errors(reference, normalise(text).split())
        rate = errors / len(reference)
        worst = max(worst, rate)
        print(f"{name:30s} WER {rate:6.2%}  ({errors} of {len(reference)} words)", flush=True)
    return worst


def check_times(model: whisper.Whisper, video: Path, truth: dict[str, Any]) -> None:
    """Print how far heard sentences start and end from the truth.

    With word times Whisper moves a segment's start to its first word's, and that word's time
    takes in part of the pause before it: such starts come early.
    """
    audio = decode(video)
    for word_times in (False, True):
        _, segments = transcribe(model, [audio], word_times)
        errors = sentence_time_errors(truth["sentences"], segments)
        print("sentence times", "with word times" if word_times else "from timestamp tokens")
        for name, column in (("starts", errors[:, 0]), ("ends", errors[:, 1])):
            near = (column <= TIME_LIMIT).mean()
            print(f"  {name}: median {np.median(column):.3f} s, within 0.15 s: {near:.0%}")


def main() -> int:
    """Run all checks; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=HERE, help="where the MP4 and JSON lie")
    parser.add_argument("--checkpoint", type=Path, default=NANO / "whisper-nano.pt.xz")
    parser.add_argument("--training-texts", type=int, default=TRAINING_TEXTS)
    options = parser.parse_args()
    truth = json.loads((options.folder / "sample_talk.json").read_text(encoding="utf-8"))
    sentences = [sentence["text"] for sentence in truth["sentences"]]

    grammar = load_grammar(NANO / "recipe" / "grammar.py")
    overlap = trained_on(sentences, grammar, options.training_texts)
    unknown = unknown_words(sentences, grammar)
    print(f"sentences: {len(sentences)}; among {options.training_texts} training texts: {overlap}")
    print(f"words the checkpoint does not know: {unknown}")

    model = load_checkpoint(options.checkpoint)
    video = options.folder / "sample_talk.mp4"
    worst = check_words(model, video, truth)
    check_times(model, video, truth)
    failed = worst >= WER_LIMIT or bool(overlap) or bool(unknown)
    print("FAILED" if failed else "passed")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
