"""Claims about the batched decoder: its parts against the package's own, and whole windows of real voices."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from madvision_assets.domain.heard import Asked, HeardWord
from madvision_assets.tools.media.audio import RATE_HZ
from madvision_assets.tools.speech import Heard
from madvision_assets.tools.speech.batched import decoder as batched
from madvision_assets.tools.speech.batched.alignment import begins, smoothed
from madvision_assets.tools.speech.batched.batch import Batch, Prompt, Row, Task
from madvision_assets.tools.speech.batched.decoder import Decoder, Effort
from madvision_assets.tools.speech.batched.network import Cache, Network
from madvision_assets.tools.speech.batched.pieces import Loudness, Piece
from madvision_assets.tools.speech.batched.place import CPU_BATCH, Plain
from madvision_assets.tools.speech.batched.rules import Rules, Said, sampled
from madvision_assets.tools.speech.batched.transcript import fails, is_silence, told_by
from madvision_assets.tools.speech.openai_whisper import load_model
from madvision_assets.tools.speech.weights import Form, find_weights
from madvision_assets_tests import real_speech
from madvision_assets_tests.sample import MODEL
from madvision_assets_tests.tools.test_speech_pieces import Samples, noise, with_pauses

if TYPE_CHECKING:
    import torch
    from whisper import Whisper
    from whisper.tokenizer import Tokenizer

pytestmark = pytest.mark.whole

# Of five voices one after the other; and of all of them, in the test that takes longer.
VOICES = slice(27, 31)
MOST_MORE_ERRORS = 0.003
FEW_TOKENS = Effort(temperatures=(0.0,), is_rest_heard=False, tokens_per_s=1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> "Whisper":
    folder = tmp_path_factory.mktemp("models")
    return load_model(find_weights(MODEL, folder, Form.CHECKPOINT), "cpu")


@pytest.fixture(scope="module")
def decoder(model: "Whisper") -> Decoder:
    return Decoder(model, Plain())


@pytest.fixture(scope="module")
def tokenizer() -> "Tokenizer":
    from whisper.tokenizer import get_tokenizer

    return get_tokenizer(multilingual=False)


@lru_cache(maxsize=1)
def said() -> real_speech.Talk:
    return real_speech.talk(real_speech.recordings()[VOICES])


@pytest.fixture(scope="module")
def heard(decoder: Decoder) -> Heard:
    return decoder.hear(said().samples, Asked("en"))


def text(heard: Heard) -> str:
    return "".join(segment.text for segment in heard.segments)


def words(heard: Heard) -> list[HeardWord]:
    return [word for segment in heard.segments for word in segment.words]


# Rules, against the package's


def test_rules_forbid_what_the_packages_forbid_whatever_was_said_before(tokenizer: "Tokenizer") -> None:
    import torch
    from whisper.decoding import ApplyTimestampRules, SuppressBlank

    rules = Rules(tokenizer, tokenizer.encoding.n_vocab, torch.device("cpu"))
    time = tokenizer.timestamp_begin
    spoken = [[], [time + 5], [time, 100], [time, 100, time + 9], [time, 100, time + 9, time + 9], [100, 200, 300]]
    never = torch.zeros(tokenizer.encoding.n_vocab, dtype=torch.bool)
    never[list(suppressed())] = True
    for tokens in spoken:
        for seed in range(4):
            logits = torch.randn(1, len(never), generator=torch.Generator().manual_seed(seed)) * 4
            wanted = logits.masked_fill(never, -np.inf)
            row = torch.tensor([tokens], dtype=torch.long)
            SuppressBlank(tokenizer, 0).apply(wanted, row)
            ApplyTimestampRules(tokenizer, 0, 50).apply(wanted, row)

            assert torch.equal(rules.allowed(logits, state(tokens, time)), wanted), tokens


def suppressed() -> tuple[int, ...]:
    from whisper.decoding import DecodingOptions, DecodingTask

    class Bare(DecodingTask):  # type: ignore[misc]
        def __init__(self) -> None:
            from whisper.tokenizer import get_tokenizer

            self.options, self.tokenizer = DecodingOptions(), get_tokenizer(multilingual=False)

    return tuple(Bare()._get_suppress_tokens())


def state(tokens: list[int], time: int) -> Said:
    import torch

    def flag(value: bool) -> "torch.Tensor":
        return torch.tensor([value])

    times = [token for token in tokens if token >= time]
    return Said(
        nothing=flag(not tokens),
        time_last=flag(bool(tokens) and tokens[-1] >= time),
        time_before=flag(len(tokens) < 2 or tokens[-2] >= time),
        latest=torch.tensor([times[-1] if times else 0]),
    )


def test_a_token_is_drawn_as_likely_as_it_is_and_never_one_that_is_forbidden() -> None:
    import torch

    logits = torch.tensor([0.5, 0.0, 0.3, 0.2]).log().repeat(1000, 1)
    drawn = (torch.arange(1000) + 0.5) / 1000

    counts = torch.bincount(sampled(logits, torch.ones(1000), drawn), minlength=4).tolist()

    assert counts == [500, 0, 300, 200]
    assert sampled(logits[:1], torch.ones(1), torch.ones(1)).tolist() == [3]


# What rows tell


def row(tokens: list[int], piece: Piece, *, logprob: float = -0.2, no_speech: float = 0.0) -> Row:
    import torch

    return Row(Task(piece, 0.0, 224), tuple(tokens), logprob, no_speech, torch.zeros(0))


@pytest.mark.parametrize(
    ("spoken", "skipped"),
    [
        ([(0, 4)], [(1400, 2500)]),  # it ends early
        ([(0, 13.5)], []),
        ([(7, 15)], [(1000, 1700)]),  # it begins late
        ([(0, 4), (9, 14)], [(1400, 1900)]),
        ([(0, 4), (5, 14)], []),
        ([], []),  # nobody speaks
    ],
)
def test_what_a_row_skips_of_its_piece_is_left_to_be_heard_by_itself(
    tokenizer: "Tokenizer", spoken: list[tuple[float, float]], skipped: list[tuple[int, int]]
) -> None:
    hello = tokenizer.encode(" hello there")
    tokens = [token for start_s, end_s in spoken for token in (at(start_s), *hello, at(end_s))]

    told = told_by(row(tokens, Piece(1000, 2500)), tokenizer)

    assert [(each.start, each.end) for each in told.stretches] == [(1000 + 100 * a, 1000 + 100 * b) for a, b in spoken]
    assert [(each.start, each.end) for each in told.left] == skipped


@pytest.mark.parametrize(("closed_s", "stretches", "left"), [(4.0, 1, (Piece(1400, 2500),)), (13.5, 2, ())])
def test_text_that_was_cut_off_is_left_to_the_rest_or_else_kept(
    tokenizer: "Tokenizer", closed_s: float, stretches: int, left: tuple[Piece, ...]
) -> None:
    piece, hello = Piece(1000, 2500), tokenizer.encode(" hello there")

    told = told_by(row([at(0), *hello, at(closed_s), at(closed_s), *hello], piece), tokenizer)

    assert len(told.stretches) == stretches
    assert told.left == left


def test_times_stay_in_the_piece_and_text_without_any_is_all_of_it(tokenizer: "Tokenizer") -> None:
    piece, hello = Piece(0, 900), tokenizer.encode(" hello there")

    assert told_by(row([at(0), *hello, at(29)], piece), tokenizer).stretches[0].end == 900
    alone = told_by(row(hello, piece), tokenizer)
    assert [(each.start, each.end) for each in alone.stretches] == [(0, 900)]
    assert alone.left == ()


def test_rows_that_repeat_themselves_or_guess_fail_but_not_where_nobody_speaks() -> None:
    piece = Piece(0, 900)

    assert fails(row([], piece), "and then " * 40)
    assert fails(row([], piece, logprob=-1.2), "hello there")
    assert not fails(row([], piece), "hello there")
    nobody = row([], piece, logprob=-1.2, no_speech=0.9)
    assert not fails(nobody, "hello there")
    assert is_silence(nobody)


def at(seconds: float) -> int:
    """The token of a time, of English models."""
    return 50363 + round(50 * seconds)


# Alignment, against the package's


def test_the_median_over_time_is_the_packages_with_each_row_mirrored_at_its_own_end() -> None:
    import torch
    from whisper.timing import median_filter

    weights = torch.rand(2, 3, 4, 50, generator=torch.Generator().manual_seed(1))
    frames = torch.tensor([50, 20, 3])

    found = smoothed(weights, frames)

    for row, length in enumerate(frames.tolist()):
        assert torch.equal(found[:, row, :, :length], median_filter(weights[:, row, :, :length], 7))


def test_the_path_says_when_each_token_begins() -> None:
    costs = np.ones((3, 10), np.float32)
    costs[0, :4], costs[1, 4:7], costs[2, 7:] = 0, 0, 0

    assert begins(costs).tolist() == [0, 4, 7]


# Rows, against the package's


@real_speech.HERE
def test_rows_are_token_for_token_those_of_the_package(model: "Whisper", tokenizer: "Tokenizer") -> None:
    import torch
    import whisper

    mel = whisper.log_mel_spectrogram(said().samples)
    rules = Rules(tokenizer, model.dims.n_vocab, torch.device("cpu"))
    batch = Batch(Network(model, Plain()), Plain(), rules, rows=2, frames=1500, places=256)
    pieces = [Piece(0, 900), Piece(900, 2000), Piece(2000, 2900)]

    rows = list(
        batch.run([Task(each, 0.0, 224) for each in pieces], mel, Prompt((tokenizer.sot,), 0, tokenizer.no_speech))
    )

    assert len(rows) == 3
    for found in rows:
        piece = found.task.piece
        window = whisper.pad_or_trim(mel[:, piece.start : piece.end], 3000)
        wanted = whisper.decode(model, window, whisper.DecodingOptions(fp16=False, language="en"))
        assert list(found.tokens) == wanted.tokens
        assert found.logprob == pytest.approx(wanted.avg_logprob, abs=1e-3)
        assert found.no_speech == pytest.approx(wanted.no_speech_prob, abs=1e-3)


# Whole windows


@real_speech.HERE
def test_real_voices_are_heard_as_the_package_hears_them(heard: Heard, model: "Whisper") -> None:
    own: dict[str, Any] = model.transcribe(
        said().samples, language="en", word_timestamps=True, condition_on_previous_text=False, fp16=False
    )
    theirs = [word for segment in own["segments"] for word in segment["words"]]
    ours = words(heard)

    errors = [real_speech.word_errors(said().text, each) for each in (text(heard), own["text"])]
    assert errors[0] <= errors[1] + MOST_MORE_ERRORS, errors
    starts = {word["word"]: float(word["start"]) for word in theirs}
    apart = sorted(abs(starts[word.text] - word.start_s) for word in ours if word.text in starts)
    assert apart[len(apart) // 2] <= 0.04
    assert len(ours) == pytest.approx(len(theirs), abs=2)


@real_speech.HERE
def test_words_rise_and_lie_in_the_window(heard: Heard) -> None:
    times = [at_s for word in words(heard) for at_s in (word.start_s, word.end_s)]

    assert times == sorted(times)
    assert min(times) >= 0
    assert max(times) <= said().duration_s
    assert [s.start_s for s in heard.segments] == sorted(s.start_s for s in heard.segments)


@real_speech.HERE
def test_a_row_does_not_depend_on_those_beside_it_nor_on_how_many_there_are(heard: Heard, model: "Whisper") -> None:
    alone = Decoder(model, Plain())
    alone.rows = 1

    found = alone.hear(said().samples, Asked("en"))

    assert text(found) == text(heard)
    assert [w.start_s for w in words(found)] == [w.start_s for w in words(heard)]


@real_speech.HERE
def test_windows_one_after_the_other_are_heard_as_each_alone(heard: Heard, decoder: Decoder) -> None:
    short = said().samples[: 6 * RATE_HZ]

    found = list(decoder.hear_all(iter([short, said().samples, short]), Asked("en")))

    assert found[1] == heard
    assert found[0] == found[2]
    assert text(found[0])


@real_speech.HERE
def test_more_pieces_than_rows_fill_the_rows_that_have_ended(heard: Heard, model: "Whisper") -> None:
    few = Decoder(model, Plain())
    few.rows = 1
    assert len(Loudness.of(said().samples).pieces()) > 1

    assert text(few.hear(said().samples, Asked("en"))) == text(heard)


@pytest.mark.parametrize(
    "sound",
    [np.zeros(12 * RATE_HZ, np.float32), np.zeros(1, np.float32), np.zeros(0, np.float32)],
    ids=["silence", "a sample", "nothing"],
)
def test_silence_is_not_decoded(decoder: Decoder, sound: Samples) -> None:
    assert decoder.hear(sound, Asked("en")).segments == ()


class FullAbove(Network):
    """On a device where so many rows fit, and no more."""

    fitting = 2

    def __init__(self, model: "Whisper", place: Plain) -> None:
        super().__init__(model, place)
        self.tried: list[int] = []

    def cache(self, rows: int, frames: int, places: int) -> Cache:
        """An empty cache, where there is room."""
        import torch

        self.tried.append(rows)
        if rows > self.fitting:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().cache(rows, frames, places)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch, model: "Whisper") -> Decoder:
    monkeypatch.setattr(batched, "Network", FullAbove)
    return Decoder(model, Plain(), FEW_TOKENS)


def test_a_batch_that_does_not_fit_is_halved_until_it_does(full: Decoder) -> None:
    buzz = with_pauses(50.0, 6.3)
    assert len(Loudness.of(buzz).pieces()) == 3

    full.hear(buzz, Asked("en"))

    network: Any = full.network
    assert network.tried == [4, 2]
    assert full.rows == 2 < CPU_BATCH


def test_what_other_batches_hold_is_given_back_before_there_are_fewer_rows(full: Decoder) -> None:
    network: Any = full.network
    network.fitting = 4
    holding = network.cache

    def cache(rows: int, frames: int, places: int) -> Cache:
        network.fitting = 4 - sum(kept for kept, *_ in full._batches)
        return holding(rows, frames, places)  # type: ignore[no-any-return]

    network.cache = cache
    for sound in (with_pauses(50.0, 6.3), noise(9), with_pauses(50.0, 6.3)):
        full.hear(sound, Asked("en"))

    assert network.tried == [4, 1, 1, 4, 4]
    assert full.rows == CPU_BATCH


def test_a_device_where_not_even_one_row_fits_is_full(full: Decoder) -> None:
    import torch

    network: Any = full.network
    network.fitting = 0

    with pytest.raises(torch.cuda.OutOfMemoryError):
        full.hear(noise(9), Asked("en"))
    assert network.tried == [1]


def test_a_benchmark_can_have_rows_of_a_length(model: "Whisper") -> None:
    quick = Decoder(model, Plain(), FEW_TOKENS)
    counted: list[int] = []

    def counting(row: Any, tokenizer: Any) -> Any:
        counted.append(len(row.tokens))
        return told_by(row, tokenizer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batched, "told_by", counting)
        quick.hear(noise(9), Asked("en"))

    assert counted == [9]
