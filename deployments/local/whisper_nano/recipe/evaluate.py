"""Word errors and segment times of a checkpoint, through stock whisper.load_model and transcribe.

For each voice the utterances of a split are laid out as one recording with short pauses.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import torch
import whisper
from jiwer import process_words
from numpy.typing import NDArray
from whisper.normalizers import EnglishTextNormalizer
from windows import SAMPLE_RATE, Split

Audio = NDArray[np.float32]
Sentence = tuple[float, float, str]  # start and end in seconds, text


def recording(split: Split, voice: str, dice: random.Random) -> tuple[Audio, list[Sentence]]:
    """Lay out a voice's utterances, with pauses of 0.2 to 0.7 s."""
    position = dice.uniform(0.1, 0.6)
    parts = [np.zeros(int(position * SAMPLE_RATE), np.float32)]
    sentences: list[Sentence] = []
    for number, entry in enumerate(split.index):
        if entry["voice"] != voice:
            continue
        audio = split.audio(number) * np.float32(0.5)
        end = position + len(audio) / SAMPLE_RATE
        sentences.append((position, end, entry["text"]))
        pause = np.zeros(int(dice.uniform(0.2, 0.7) * SAMPLE_RATE), np.float32)
        parts += [audio, pause]
        position = end + len(pause) / SAMPLE_RATE
    return np.concatenate(parts), sentences


def report(model: whisper.Whisper, audio: Audio, sentences: list[Sentence]) -> tuple[int, int, str]:
    """Transcribe a recording; return wrong words, all words, and a line of figures."""
    normalise = EnglishTextNormalizer()
    result = model.transcribe(audio, fp16=False, condition_on_previous_text=False, language="en")
    reference = normalise(" ".join(text for _, _, text in sentences))
    output = process_words(reference, normalise(result["text"]) or "-")
    wrong = output.substitutions + output.deletions + output.insertions
    total = output.hits + output.substitutions + output.deletions
    segments = result["segments"] or [{"start": np.inf, "end": np.inf}]
    starts = [min(abs(s["start"] - start) for s in segments) for start, _, _ in sentences]
    ends = [min(abs(s["end"] - end) for s in segments) for _, end, _ in sentences]
    times = f"start {np.median(starts):.2f} s, end {np.median(ends):.2f} s (median error)"
    return wrong, total, f"WER {wrong / total:.1%} of {total} words; {times}"


def main() -> None:
    """Evaluate every voice of a split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="unpacked .pt")
    parser.add_argument("--data", type=Path, required=True, help="folder that speech.py wrote")
    parser.add_argument("--split", default="test")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = whisper.load_model(str(options.checkpoint), device="cpu")
    split = Split(options.data, options.split)
    dice = random.Random(42)
    for voice in sorted({entry["voice"] for entry in split.index}):
        audio, sentences = recording(split, voice, dice)
        print(f"{voice}: {report(model, audio, sentences)[2]}", flush=True)


if __name__ == "__main__":
    main()
