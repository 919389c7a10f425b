"""Rows that are decoded in step, each at a place of its own; one that has ended makes room for the next piece."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from madvision_assets.tools.speech.batched.pieces import Piece
from madvision_assets.tools.speech.batched.rules import Rules, Said, greedy, sampled

if TYPE_CHECKING:
    from torch import Tensor

    from madvision_assets.tools.speech.batched.network import Network
    from madvision_assets.tools.speech.batched.place import Place

STEPS = 8  # between two looks at which rows have ended; each look waits for the device
REFILL_SHARE = 0.25  # of the rows must be free: an encoder is wasted on single ones


@dataclass(frozen=True)
class Task:
    """A piece to be decoded.

    Attributes:
        piece: of the window.
        temperature: 0 takes the likeliest token, more than that draws one.
        most: tokens, at most.
    """

    piece: Piece
    temperature: float
    most: int


@dataclass(frozen=True)
class Row:
    """What a piece was decoded to.

    Attributes:
        task: which that was.
        tokens: text and times; the end is not among them.
        logprob: the mean logarithm of their probabilities, the end included.
        no_speech: how likely it is that nobody speaks.
        states: the encoder's of its sound (A, N).
    """

    task: Task
    tokens: tuple[int, ...]
    logprob: float
    no_speech: float
    states: "Tensor"


@dataclass(frozen=True)
class Prompt:
    """What rows begin with.

    Attributes:
        tokens: the task in Whisper's tokens, and the vocabulary before it where there is one.
        start: where among them the transcript starts, which tells whether anybody speaks.
        no_speech: the token for that.
    """

    tokens: tuple[int, ...]
    start: int
    no_speech: int


class Batch:
    """So many rows with their caches; used for one window after the other.

    Args:
        network: decodes.
        place: where.
        rules: what may be said.
        rows: how many.
        frames: of the encoder, which every row gets.
        places: for the tokens of a row, its prompt included.
    """

    def __init__(self, network: "Network", place: "Place", rules: Rules, rows: int, frames: int, places: int) -> None:
        import torch

        self.rows, self.frames, self.places = rows, frames, places
        self._network, self._place, self._rules = network, place, rules
        self._cache = network.cache(rows, frames, places)

        def zeros(*shape: int, dtype: torch.dtype = torch.long) -> "Tensor":
            return torch.zeros(*shape, dtype=dtype, device=network.device)

        self._token, self._at, self._begin, self._most, self._latest = (zeros(rows) for _ in range(5))
        self._done, self._time_last, self._time_before = (zeros(rows, dtype=torch.bool) for _ in range(3))
        self._logprob, self._temperature = (zeros(rows, dtype=torch.float32) for _ in range(2))
        self._out, self._drawn = zeros(rows, places), zeros(rows, places, dtype=torch.float32)
        self._number = torch.arange(rows, device=network.device)
        self._done.fill_(True)  # noqa: FBT003 - a tensor's value
        self._steps: dict[bool, Callable[[], None]] = {}

    def run(self, tasks: Sequence[Task], mel: "Tensor", prompt: Prompt) -> Iterator[Row]:
        """Decode pieces, and give each row when it has ended; in what order is not said.

        Args:
            tasks: all of temperature 0, or none.
            mel: the spectrogram of the window (bands, frames).
            prompt: of every row.
        """
        import torch

        with torch.inference_mode():
            step = self._step(draws=any(task.temperature for task in tasks))
            waiting = deque(tasks)
            going: dict[int, tuple[Task, float, Tensor]] = {}
            while waiting or going:
                free = [row for row in range(self.rows) if row not in going]
                if waiting and (len(free) >= REFILL_SHARE * self.rows or not going):
                    begun = [(row, waiting.popleft()) for row in free[: len(waiting)]]
                    going.update(self._begin_rows(begun, mel, prompt))
                with self._place.busy():
                    for _ in range(STEPS):
                        step()
                yield from self._ended(going, len(prompt.tokens))

    def _step(self, *, draws: bool) -> Callable[[], None]:
        """One token for every row; what it runs is made ready when no row is going."""
        if draws not in self._steps:
            self._done.fill_(True)  # noqa: FBT003 - a tensor's value
            self._temperature.fill_(1.0)
            self._steps[draws] = self._place.captured(lambda: self._advance(draws=draws))
        return self._steps[draws]

    def _advance(self, *, draws: bool) -> None:
        """Every tensor is written where it is: a captured step knows them by their place."""
        logits = self._network.step(self._token, self._at, self._cache)
        nothing = self._at + 1 == self._begin
        allowed = self._rules.allowed(logits, Said(nothing, self._time_last, self._time_before, self._latest))
        next_at = (self._at + 1).clamp(max=self.places - 1)
        if draws:
            token = sampled(allowed, self._temperature, self._drawn.gather(1, next_at[:, None])[:, 0])
        else:
            token = greedy(allowed)
        logprob = allowed.gather(1, token[:, None])[:, 0] - allowed.logsumexp(-1)
        going = ~self._done
        token = token.where(going, token.new_full((), self._rules.eot))
        time = token >= self._rules.first_time
        self._logprob.add_(logprob.where(going, logprob.new_zeros(())))
        self._latest.copy_(token.where(time, self._latest))
        self._time_before.copy_(self._time_last | nothing)
        self._time_last.copy_(time)
        self._at.copy_(next_at)
        self._out[self._number, next_at] = token
        self._token.copy_(token)
        self._done.logical_or_((token == self._rules.eot) | (next_at - self._begin + 1 >= self._most))

    def _begin_rows(
        self, begun: Sequence[tuple[int, Task]], mel: "Tensor", prompt: Prompt
    ) -> dict[int, tuple[Task, float, "Tensor"]]:
        """Encode sound, read the prompt, and have the rows stand before their first token."""
        import torch

        numbers = torch.tensor([row for row, _ in begun], device=self._network.device)
        tokens = torch.tensor(prompt.tokens, device=self._network.device).expand(len(begun), -1)
        with self._place.busy():
            states = self._network.encode(torch.stack([self._sound(mel, task.piece) for _, task in begun]))
            sound = self._network.sound(states)
            self._cache.sound_keys[:, numbers], self._cache.sound_values[:, numbers] = sound
            read = self._network.read(tokens, sound)
            length = len(prompt.tokens)
            self._cache.keys[:, numbers, :, :length] = read.keys
            self._cache.values[:, numbers, :, :length] = read.values
            speech = self._network.logits(read.states[:, prompt.start]).softmax(-1)[:, prompt.no_speech]
        self._token[numbers], self._at[numbers], self._begin[numbers] = prompt.tokens[-1], length - 1, length
        self._latest[numbers], self._logprob[numbers] = 0, 0.0
        self._time_last[numbers], self._time_before[numbers], self._done[numbers] = False, True, False
        self._out[numbers] = self._rules.eot
        self._most[numbers] = tokens.new_tensor([min(task.most, self.places - length) for _, task in begun])
        if begun[0][1].temperature:
            self._temperature[numbers] = self._drawn.new_tensor([task.temperature for _, task in begun])
            self._drawn[numbers] = torch.stack([self._draw(task) for _, task in begun]).to(self._network.device)
        told = zip(begun, speech.tolist(), states, strict=True)
        return {row: (task, no_speech, state) for (row, task), no_speech, state in told}

    def _sound(self, mel: "Tensor", piece: Piece) -> "Tensor":
        """The spectrogram of a piece, filled up as Whisper fills up its windows."""
        from torch.nn import functional as f

        cut = mel[:, piece.start : piece.start + min(piece.frames, 2 * self.frames)]
        return f.pad(cut, (0, 2 * self.frames - cut.shape[1]))

    def _draw(self, task: Task) -> "Tensor":
        """Numbers for a row, the same whenever and beside whomever it is decoded."""
        import torch

        seed = hash((task.piece.start, task.piece.end, round(10 * task.temperature))) & 0x7FFFFFFF
        return torch.rand(self.places, generator=torch.Generator().manual_seed(seed))

    def _ended(self, going: dict[int, tuple[Task, float, "Tensor"]], begin: int) -> Iterator[Row]:
        done = self._done.tolist()
        ended = [row for row in going if done[row]]
        if not ended:
            return
        out, logprobs = self._out.tolist(), self._logprob.tolist()
        for row in ended:
            task, no_speech, states = going.pop(row)
            tokens = out[row][begin : begin + task.most]
            tokens = tokens[: tokens.index(self._rules.eot)] if self._rules.eot in tokens else tokens
            yield Row(task, tuple(tokens), logprobs[row] / (len(tokens) + 1), no_speech, states)
