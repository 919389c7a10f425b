"""Windows of sound to segments: pieces in batches, again where a row failed or ended early, then the times of words."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from madvision_assets.domain.heard import Asked, HeardSegment
from madvision_assets.tools.speech import TRANSCRIBE, TRANSLATE, Abilities, Heard
from madvision_assets.tools.speech.batched.alignment import Map, Spoken, maps
from madvision_assets.tools.speech.batched.batch import Batch, Prompt, Row, Task
from madvision_assets.tools.speech.batched.network import Network
from madvision_assets.tools.speech.batched.pieces import FRAME, FRAMES_PER_S, Loudness, Piece
from madvision_assets.tools.speech.batched.place import STATES_AT_ONCE, Place
from madvision_assets.tools.speech.batched.rules import Rules
from madvision_assets.tools.speech.batched.transcript import (
    FRAMES_A_STEP,
    Stretch,
    fails,
    is_silence,
    text_of,
    told_by,
)
from madvision_assets.tools.speech.batched.words import in_order, segments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from whisper import Whisper
    from whisper.tokenizer import Tokenizer

TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # Whisper's own, for rows that fail
MOST_TOKENS = 224  # of a row: half of what the model can remember
CONTEXTS = (1000, 1500)  # frames of the encoder, 50 a second: as few as the longest piece of a batch needs
PLACES = 64  # rows have places for tokens in steps of so many, so that few batches are made
KEPT_BATCHES = 4
EXCERPT = 3000  # frames that tell a language


@dataclass(frozen=True)
class Effort:
    """How hard rows are tried; the defaults are what transcripts want.

    Attributes:
        temperatures: for a row, until one does not fail.
        is_rest_heard: whether what a row skipped of its piece is decoded too.
        tokens_per_s: rows have exactly so many, which benchmarks of speed want; None where they end by themselves.
    """

    temperatures: Sequence[float] = TEMPERATURES
    is_rest_heard: bool = True
    tokens_per_s: float | None = None


@dataclass(frozen=True)
class _Sound:
    """A window on its way: on the device, and how loud it is."""

    samples: "Tensor"
    loudness: Loudness
    pieces: Sequence[Piece]


@dataclass(frozen=True)
class _Kept:
    """A row that is believed, what it tells, and of what: where its rest is another's, of what is before that."""

    row: Row
    piece: Piece
    stretches: Sequence[Stretch]


@dataclass(frozen=True)
class _Decoded:
    """A window whose text is known, and the maps to when it is said."""

    language: str
    kept: Sequence[_Kept]
    maps: Sequence[Map]
    tokenizer: "Tokenizer"
    gpu_s: float


class Decoder:
    """Whisper in batches.

    Args:
        model: whose weights are taken; it may be on another device, and is not needed after.
        place: where it is to run.
        effort: how hard rows are tried.
    """

    def __init__(self, model: "Whisper", place: Place, effort: Effort | None = None) -> None:
        self.network = Network(model, place)
        self.place, self._effort = place, effort or Effort()
        self.is_multilingual, self._languages = bool(model.is_multilingual), int(model.num_languages)
        self.abilities = Abilities(
            self._languages if self.is_multilingual else 1, model.dims.n_audio_layer, model.dims.n_text_layer
        )
        self.rows = place.batch_size(self._bytes_a_row())
        self._batches: dict[tuple[int, int, int], Batch] = {}
        self._rules: Rules | None = None

    def hear(self, samples: "NDArray[np.float32]", asked: Asked) -> Heard:
        """What is said in one window (mono, 16 kHz, -1 to 1).

        Raises:
            Exception: what torch raises, as it is; a full device only when a single row does not fit.
        """
        return next(self.hear_all((samples,), asked))

    def hear_all(self, windows: Iterable["NDArray[np.float32]"], asked: Asked) -> Iterator[Heard]:
        """Likewise of windows, in their order.

        While the device decodes one, a thread takes the next from where they come from, cuts and uploads it, and
        another finds the times of words in the one before.
        """
        with ThreadPoolExecutor(1, "sound") as ahead, ThreadPoolExecutor(1, "words") as behind:
            coming = iter(windows)
            next_one = ahead.submit(self._taken, coming)
            written: Future[Heard] | None = None
            while (sound := next_one.result()) is not None:
                next_one = ahead.submit(self._taken, coming)
                decoded = self._decoded(sound, asked)
                if written is not None:
                    yield written.result()
                written = behind.submit(_written, decoded)
            if written is not None:
                yield written.result()

    def language_of(self, samples: "NDArray[np.float32]") -> tuple[str, float]:
        """The language of the first half minute, and how sure that is; a model of one language is sure of it."""
        return self._language(self._mel(self.place.upload(samples)))

    def _language(self, mel: "Tensor") -> tuple[str, float]:
        import torch
        from torch.nn import functional as f

        if not self.is_multilingual:
            return "en", 1.0
        tokenizer = self._tokenizer(Asked())
        with torch.inference_mode():
            cut = f.pad(mel[:, :EXCERPT], (0, max(0, EXCERPT - mel.shape[1])))
            sound = self.network.sound(self.network.encode(cut[None]))
            start = torch.tensor([[tokenizer.sot]], device=self.network.device)
            logits = self.network.logits(self.network.read(start, sound).states[0, 0])
            likely = logits[list(tokenizer.all_language_tokens)].softmax(-1)
            sure, which = likely.max(-1)
        return tokenizer.all_language_codes[int(which)], float(sure)

    def _taken(self, windows: Iterator["NDArray[np.float32]"]) -> _Sound | None:
        samples = next(windows, None)
        if samples is None:
            return None
        loudness = Loudness.of(samples)
        return _Sound(self.place.upload(samples), loudness, loudness.pieces())

    def _decoded(self, sound: _Sound, asked: Asked) -> _Decoded:
        with self.place.busy():
            mel = self._mel(sound.samples)
            language = asked.language or self._language(mel)[0]
        tokenizer = self._tokenizer(asked, language)
        kept = self._kept(sound, mel, tokenizer, asked)
        found = self._maps(kept, tokenizer)
        gpu_s = (self.place.take_busy_ms() or 0) / 1000
        return _Decoded(language, kept, found, tokenizer, gpu_s)

    def _kept(self, sound: _Sound, mel: "Tensor", tokenizer: "Tokenizer", asked: Asked) -> list[_Kept]:
        """The rows that are believed; failed ones are decoded hotter, and what others skipped by itself."""
        kept: list[_Kept] = []
        prompt = _prompt(tokenizer, asked)
        waiting = [self._task(piece) for piece in sound.pieces]
        while waiting:
            tasks, waiting = waiting, []
            for row in self._rows(tasks, mel, prompt, tokenizer):
                told = told_by(row, tokenizer)
                hotter = [each for each in self._effort.temperatures if each > row.task.temperature]
                if hotter and fails(row, text_of(told.stretches, tokenizer)):
                    waiting.append(self._task(row.task.piece, hotter[0]))
                    continue
                if is_silence(row):
                    continue
                if self._effort.is_rest_heard:
                    waiting += [self._task(left) for left in told.left if sound.loudness.is_audible(left)]
                if told.stretches:
                    until = max(each.end for each in told.stretches)  # what is behind that is another's
                    piece = row.task.piece
                    behind = any(left.end == piece.end for left in told.left)
                    kept.append(_Kept(row, Piece(piece.start, until) if behind else piece, told.stretches))
        return kept

    def _rows(self, tasks: Sequence[Task], mel: "Tensor", prompt: Prompt, tokenizer: "Tokenizer") -> Iterator[Row]:
        """The rows of tasks, those of like length beside each other, each with the context that it needs."""
        groups: dict[tuple[int, bool], list[Task]] = {}
        for task in sorted(tasks, key=lambda each: -each.piece.frames):
            groups.setdefault((context_of(task.piece), task.temperature > 0), []).append(task)
        for (frames, _), group in groups.items():
            yield from self._fitting(group, frames, mel, prompt, tokenizer)

    def _fitting(
        self, tasks: Sequence[Task], frames: int, mel: "Tensor", prompt: Prompt, tokenizer: "Tokenizer"
    ) -> Iterator[Row]:
        """The rows of tasks; where they do not fit the device, without other batches, then half as many at once."""
        import torch

        left = dict.fromkeys(tasks)
        while left:
            rows = min(self.rows, 1 << (len(left) - 1).bit_length())
            batch: Batch | None = None
            others = False  # whether batches that are not at work hold memory
            try:
                batch = self._batch(rows, frames, len(prompt.tokens), tokenizer)
                for row in batch.run([*left], mel, prompt):
                    del left[row.task]
                    yield row
            except torch.OutOfMemoryError:
                others = any(each is not batch for each in self._batches.values())
                if rows == 1 and not others:
                    raise
            if left:
                batch = None  # or it would hold its memory
                if not others:
                    self.rows = rows // 2  # from now on
                self._give_back()

    def _give_back(self) -> None:
        """Gives back what batches keep."""
        self._batches.clear()
        self.place.free()

    def _batch(self, rows: int, frames: int, prompt: int, tokenizer: "Tokenizer") -> Batch:
        """A batch of so many rows, a power of two; it is made once, with what is captured of it."""
        text_places = self.network.dims.n_text_ctx
        places = min(text_places, -(-(prompt + MOST_TOKENS) // PLACES) * PLACES)
        key = rows, frames, places
        found = self._batches.pop(key, None)
        if found is None:
            while len(self._batches) >= KEPT_BATCHES:
                self._batches.pop(next(iter(self._batches)))
            if self._rules is None:
                endless = self._effort.tokens_per_s is not None
                self._rules = Rules(tokenizer, self.network.dims.n_vocab, self.network.device, endless=endless)
            found = Batch(self.network, self.place, self._rules, *key)
        self._batches[key] = found  # the one used last is kept longest
        return found

    def _maps(self, kept: Sequence[_Kept], tokenizer: "Tokenizer") -> list[Map]:
        """The maps of rows, in their order; those of like length together."""
        spoken = [
            Spoken(
                tuple(token for stretch in each.stretches for token in stretch.tokens),
                each.row.states,
                each.piece.frames // FRAMES_A_STEP,
            )
            for each in kept
        ]
        order = sorted(range(len(spoken)), key=lambda at: (len(spoken[at].states), len(spoken[at].tokens)))
        found: dict[int, Map] = {}
        for frames in {len(each.states) for each in spoken}:
            alike = [at for at in order if len(spoken[at].states) == frames]
            with self.place.busy():
                found.update(zip(alike, self._alike([spoken[at] for at in alike], tokenizer), strict=True))
        return [found[at] for at in range(len(spoken))]

    def _alike(self, spoken: Sequence[Spoken], tokenizer: "Tokenizer") -> list[Map]:
        """The maps of rows of one context; where they do not fit beside the batches, without those and one by one."""
        import torch

        with suppress(torch.OutOfMemoryError):
            return maps(self.network, tokenizer, spoken)
        self._give_back()
        return maps(self.network, tokenizer, spoken, at_once=1)

    def _task(self, piece: Piece, temperature: float | None = None) -> Task:
        rate = self._effort.tokens_per_s
        most = MOST_TOKENS if rate is None else max(1, round(rate * piece.frames / FRAMES_PER_S))
        return Task(piece, self._effort.temperatures[0] if temperature is None else temperature, most)

    def _mel(self, samples: "Tensor") -> "Tensor":
        """The spectrogram of a window (bands, frames), on the device, as Whisper makes it of a whole audio."""
        from torch.nn import functional as f
        from whisper.audio import N_FFT, log_mel_spectrogram

        wanted = max(N_FFT, -(-len(samples) // FRAME) * FRAME)
        mel: Tensor = log_mel_spectrogram(f.pad(samples, (0, wanted - len(samples))), self.network.dims.n_mels)
        return mel

    def _tokenizer(self, asked: Asked, language: str | None = None) -> "Tokenizer":
        from whisper.tokenizer import get_tokenizer

        return get_tokenizer(
            self.is_multilingual,
            num_languages=self._languages,
            language=language,
            task=TRANSLATE if asked.translate else TRANSCRIBE,
        )

    def _bytes_a_row(self) -> int:
        """What a row of the longest context takes: its caches, and the encoder on its way."""
        dims, size = self.network.dims, self.network.dtype.itemsize
        remembered = 2 * dims.n_text_layer * dims.n_text_state * (CONTEXTS[-1] + dims.n_text_ctx)
        on_its_way = STATES_AT_ONCE * CONTEXTS[-1] * dims.n_audio_state
        return int(size * (remembered * 2 + on_its_way) + 4 * 6 * dims.n_vocab)  # the logits are masked in copies


def context_of(piece: Piece) -> int:
    """Frames of the encoder that a piece needs."""
    return next((each for each in CONTEXTS if piece.frames <= FRAMES_A_STEP * each), CONTEXTS[-1])


def _prompt(tokenizer: "Tokenizer", asked: Asked) -> Prompt:
    """What rows begin with: the vocabulary as what was said before, as far as there is room, and the task."""
    before = tokenizer.encode(f" {asked.prompt}")[-(MOST_TOKENS - 1) :] if asked.prompt else []
    tokens = ([tokenizer.sot_prev, *before] if before else []) + [*tokenizer.sot_sequence]
    return Prompt(tuple(tokens), tokens.index(tokenizer.sot), tokenizer.no_speech)


def _written(decoded: _Decoded) -> Heard:
    """The segments of a window; on the processor alone."""
    found: list[HeardSegment] = []
    for kept, each in zip(decoded.kept, decoded.maps, strict=True):
        found += segments(kept.piece, kept.stretches, each, decoded.tokenizer)
    return Heard(decoded.language, tuple(in_order(found)), gpu_s=decoded.gpu_s)
