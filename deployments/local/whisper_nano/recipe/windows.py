"""Training windows: utterances laid out in time, with noise, tokens and attention guides."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model import AUDIO_FRAMES, Vocabulary
from numpy.typing import NDArray
from torch import Tensor
from whisper.audio import mel_filters

SAMPLE_RATE = 16_000  # Hz
FRAME_RATE = 50  # encoder frames a second
FULL_SECONDS = 30.0
SHORT_SECONDS = (5.12, 7.68, 7.68)  # short windows train several times faster
MEL_FILTERS = mel_filters("cpu", 80)
STFT_WINDOW = torch.hann_window(400)
NO_GUIDE = (-9, -9)  # a token whose attention is left alone

Audio = NDArray[np.float32]
Span = tuple[float, float]

_white = np.random.default_rng(3).standard_normal(SAMPLE_RATE * 90).astype(np.float32)
NOISES = (_white, np.convolve(_white, np.ones(8, np.float32) / 3, "same"))


class Split:
    """A split that ``speech.py`` wrote: an index of utterances and their samples."""

    def __init__(self, folder: Path, name: str, voices: Iterable[str] = ()) -> None:
        """Open the split; keep only ``voices`` if any are given."""
        index = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        wanted = set(voices)
        self.index: list[dict[str, Any]] = [entry for entry in index if not wanted or entry["voice"] in wanted]
        self.samples = np.memmap(folder / f"{name}.i16", np.int16, "r")
        self.words = [frozenset(e["text"].lower().strip(".?").split()) for e in self.index]

    def __len__(self) -> int:
        """Count the utterances."""
        return len(self.index)

    def audio(self, number: int) -> Audio:
        """Samples of one utterance, from -1 to 1."""
        entry = self.index[number]
        piece = self.samples[entry["off"] : entry["off"] + entry["n"]]
        return np.asarray(piece, np.float32) / 32768

    def keep_aligned(self) -> None:
        """Keep only the utterances whose word times are known."""
        kept = [number for number, entry in enumerate(self.index) if "words" in entry]
        self.index = [self.index[number] for number in kept]
        self.words = [self.words[number] for number in kept]

    def similar(self, dice: random.Random, number: int) -> int:
        """Draw an utterance that shares words with another one, or that one again."""
        if dice.random() < 0.25:
            return number
        most, chosen = -1, number
        for _ in range(80):
            candidate = dice.randrange(len(self))
            shared = len(self.words[number] & self.words[candidate])
            if shared > most:
                most, chosen = shared, candidate
        return chosen


@dataclass(frozen=True)
class Utterance:
    """An utterance in a window; all times in seconds from the window's start."""

    start: float
    end: float
    text: str
    words: list[Span]


@dataclass
class Window:
    """One training example.

    Attributes:
        audio: Samples at 16 kHz.
        utterances: What is said, without an utterance that the window's end cuts off.
        cut_start: Where an utterance that the window's end cuts off begins, in seconds.
        offset: Encoder frame at which the window stands within Whisper's 30 seconds.
        inputs: Decoder inputs (compact tokens).
        targets: The tokens to predict, one for each input.
        mask: 1 where a target counts.
        here: For each input token the first and last frame where it is heard.
        following: The same for each target token.
    """

    audio: Audio
    utterances: list[Utterance] = field(default_factory=list)
    cut_start: float | None = None
    offset: int = 0
    inputs: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    here: list[tuple[int, int]] = field(default_factory=list)
    following: list[tuple[int, int]] = field(default_factory=list)

    @property
    def silent(self) -> bool:
        """Whether nothing is said in the window."""
        return not self.utterances and self.cut_start is None


@dataclass(frozen=True)
class Batch:
    """Windows as tensors: B windows, F mel frames (10 ms), T tokens.

    Attributes:
        mel: (B, 80, F) log-mel spectrogram.
        offsets: (B,) encoder frames.
        inputs: (B, T) compact tokens.
        targets: (B, T) compact tokens.
        mask: (B, T) 1 where a target counts.
        utterances: B lists.
        here: (B, T, 2) encoder frames.
        following: (B, T, 2) encoder frames.
    """

    mel: Tensor
    offsets: Tensor
    inputs: Tensor
    targets: Tensor
    mask: Tensor
    utterances: list[list[Utterance]]
    here: Tensor
    following: Tensor


def log_mel(audio: Tensor, dice: random.Random | None = None) -> Tensor:
    """Whisper's log-mel spectrogram, (B, N) samples to (B, 80, N / 160).

    Whisper cuts off 80 dB below a file's loudest moment, which may lie outside the window; with
    ``dice`` the maximum is raised at random as such a moment would raise it.
    """
    spectrum = torch.stft(audio, 400, 160, window=STFT_WINDOW, return_complex=True)
    power = torch.clamp(MEL_FILTERS @ spectrum[..., :-1].abs() ** 2, min=1e-10).log10()
    maximum = power.amax((1, 2), keepdim=True)
    if dice is not None:
        raised = [dice.choice([0, 0, dice.uniform(0, 0.6)]) for _ in audio]
        maximum = maximum + torch.tensor(raised)[:, None, None]
    return (torch.maximum(power, maximum - 8) + 4) / 4


class WindowMaker:
    """Makes training windows and batches from a split."""

    def __init__(self, split: Split, vocabulary: Vocabulary, dice: random.Random, repeat: bool) -> None:
        """Prepare.

        Args:
            split: Where utterances come from.
            vocabulary: The compact vocabulary.
            dice: Where all random draws come from.
            repeat: Whether neighbours often share words, which teaches the decoder to follow the
                sound and not the words.
        """
        self.split, self.vocabulary, self.dice, self.repeat = split, vocabulary, dice, repeat

    def batch(self, full: bool, size: int) -> Batch:
        """Make a batch of windows, all of 30 s if ``full`` and else shorter ones."""
        seconds = FULL_SECONDS if full else self.dice.choice(SHORT_SECONDS)
        windows = [self.window(seconds, full) for _ in range(size)]
        mel = log_mel(torch.from_numpy(np.stack([w.audio for w in windows])), self.dice)
        length = max(len(window.inputs) for window in windows)

        def pad(name: str, filler: int | tuple[int, int]) -> Tensor:
            rows = [getattr(window, name) for window in windows]
            return torch.tensor([[*row, *[filler] * (length - len(row))] for row in rows])

        return Batch(
            mel=mel,
            offsets=torch.tensor([window.offset for window in windows]),
            inputs=pad("inputs", self.vocabulary.other),
            targets=pad("targets", 0),
            mask=pad("mask", 0),
            utterances=[window.utterances for window in windows],
            here=pad("here", NO_GUIDE),
            following=pad("following", NO_GUIDE),
        )

    def window(self, seconds: float, full: bool) -> Window:
        """Make one window of the given length."""
        dice = self.dice
        window = Window(np.zeros(int(seconds * SAMPLE_RATE), np.float32))
        if not full and dice.random() >= 0.4:
            window.offset = dice.randrange(0, AUDIO_FRAMES - int(seconds * FRAME_RATE))
        if dice.random() > 0.03:
            self.place_utterances(window, full)
        self.add_noise(window)
        self.add_tokens(window)
        if full and dice.random() < 0.25:
            self.add_prompt(window)
        return window

    def place_utterances(self, window: Window, full: bool) -> None:
        """Fill a window with utterances; the end of a full window may cut the last one."""
        dice, split, size = self.dice, self.split, len(window.audio)
        position = dice.choice([0.0, dice.uniform(0, 0.3), dice.uniform(0, 0.95)])
        most = 99 if dice.random() < 0.75 else dice.randint(1, 5)
        loudness = 10 ** dice.uniform(-1.1, 0.2)
        same_voice, last = dice.random() < 0.5, None
        voice = None
        while len(window.utterances) < most:
            number = self.draw_utterance(voice if same_voice else None)
            if self.repeat and last is not None and dice.random() < 0.35:
                number = split.similar(dice, last)
            last = number
            entry = split.index[number]
            voice = voice or entry["voice"]
            audio = split.audio(number) * loudness * 10 ** dice.uniform(-0.2, 0.1)
            start = int(position * SAMPLE_RATE)
            if start + len(audio) > size - 1600:
                if full and dice.random() < 0.6 and start < size - 8000:
                    window.audio[start : start + len(audio)] += audio[: size - start]
                    window.cut_start = position
                break
            window.audio[start : start + len(audio)] += audio
            end = position + len(audio) / SAMPLE_RATE
            words = [(position + a, position + b) for a, b in entry.get("words", ())]
            window.utterances.append(Utterance(position, end, entry["text"], words))
            position = end + dice.choice([dice.uniform(0.12, 0.5), dice.uniform(0.12, 1.2)])

    def draw_utterance(self, voice: str | None) -> int:
        """Draw an utterance, with some patience one in the given voice."""
        number = self.dice.randrange(len(self.split))
        if voice:
            for _ in range(30):
                if self.split.index[number]["voice"] == voice:
                    break
                number = self.dice.randrange(len(self.split))
        return number

    def add_noise(self, window: Window) -> None:
        """Add faint white or muffled noise to six of ten windows."""
        dice, size = self.dice, len(window.audio)
        if dice.random() >= 0.6:
            return
        start = dice.randrange(0, SAMPLE_RATE * 59)
        noise = NOISES[0 if dice.random() < 0.5 else 1][start : start + size]
        loudest = max(1e-4, np.abs(window.audio).max())
        window.audio += noise * loudest * 10 ** dice.uniform(-3, -1.5)

    def timestamp(self, window: Window, seconds: float) -> int:
        """Compact timestamp token of a moment of the window."""
        frame = window.offset + round(seconds * FRAME_RATE)
        return self.vocabulary.first_timestamp + min(AUDIO_FRAMES, frame)

    def add_tokens(self, window: Window) -> None:
        """Set a window's inputs, targets, mask and guides."""
        vocabulary = self.vocabulary
        plain = self.dice.random() < 0.15 and window.cut_start is None  # without timestamps
        opening = vocabulary.no_timestamps if plain else vocabulary.first_timestamp
        tokens, spans = [vocabulary.sot], [(-1.0, -1.0)]
        if window.silent:
            tokens += [opening, vocabulary.eot]
            spans *= 3
        else:
            if plain:
                tokens.append(opening)
                spans.append((-1.0, -1.0))
            for utterance in window.utterances:
                self.add_utterance(window, utterance, tokens, spans, plain)
            if window.cut_start is not None:
                tokens.append(self.timestamp(window, window.cut_start))
                spans.append(around(window.cut_start))
            tokens.append(vocabulary.eot)
            spans.append((-1.0, -1.0))
        window.inputs, window.targets = tokens[:-1], tokens[1:]
        window.mask = [1] * len(window.targets)
        if window.silent:
            window.targets[0] = vocabulary.no_speech
        elif plain:
            window.mask[0] = 0  # the caller forces this token, so it need not be predicted
        if len(spans) != len(tokens):
            raise ValueError("a sentence's tokens are not its words' tokens and one full stop")
        frames = [to_frames(span) for span in spans]
        window.here, window.following = frames[:-1], frames[1:]

    def add_utterance(
        self,
        window: Window,
        utterance: Utterance,
        tokens: list[int],
        spans: list[Span],
        plain: bool,
    ) -> None:
        """Append an utterance's tokens and when each of them is heard (seconds)."""
        vocabulary = self.vocabulary
        text = vocabulary.encode(utterance.text)
        heard: list[Span] = [(-1.0, -1.0)] * len(text)
        if utterance.words:
            heard = []
            for word, (start, end) in zip(utterance.text.split(), utterance.words, strict=True):
                count = len(vocabulary.encode(word.strip(".?")))
                step = (end - start) / count
                heard += [(start + step * i, start + step * (i + 1)) for i in range(count)]
            heard.append((utterance.end - 0.06, utterance.end + 0.1))
        if plain:
            tokens += text
            spans += heard
            return
        first, last = (self.timestamp(window, t) for t in (utterance.start, utterance.end))
        tokens += [first, *text, max(last, first + 1)]
        spans += [around(utterance.start), *heard, around(utterance.end)]

    def add_prompt(self, window: Window) -> None:
        """Put text before the window, as ``condition_on_previous_text`` does."""
        dice, vocabulary, split = self.dice, self.vocabulary, self.split
        prompt: list[int] = []
        position = dice.uniform(0, 3)
        first = vocabulary.first_timestamp
        for _ in range(dice.randint(1, 9)):
            entry = split.index[dice.randrange(len(split))]
            duration = entry["n"] / SAMPLE_RATE
            if position + duration > 29:
                break
            start, end = (round(t * FRAME_RATE) for t in (position, position + duration))
            prompt += [first + start, *vocabulary.encode(entry["text"]), first + end]
            position += duration + dice.uniform(0.1, 0.8)
        prompt = [vocabulary.previous, *prompt[-223:]]
        window.inputs = prompt + window.inputs
        window.targets = [0] * len(prompt) + window.targets
        window.mask = [0] * len(prompt) + window.mask
        window.here = [NO_GUIDE] * len(prompt) + window.here
        window.following = [NO_GUIDE] * len(prompt) + window.following


def around(seconds: float) -> Span:
    """Span of a moment where an utterance starts or ends."""
    return seconds - 0.08, seconds + 0.08


def to_frames(span: Span) -> tuple[int, int]:
    """First and last encoder frame of a span in seconds, two frames wider on each side."""
    start, end = span
    if start < 0 and end <= 0:
        return NO_GUIDE
    return int(start * FRAME_RATE) - 2, int(end * FRAME_RATE) + 2
