"""Claims about the pieces in which the batched decoder hears a window."""

import numpy as np
from numpy.typing import NDArray

from madvision_assets.tools.media.audio import RATE_HZ
from madvision_assets.tools.speech.batched.pieces import LONGEST_S, SHORTEST_S, Loudness, Piece

Samples = NDArray[np.float32]


def noise(seconds: float, level: float = 0.1, seed: int = 0) -> Samples:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def with_pauses(seconds: float, every_s: float) -> Samples:
    """Noise that is quiet for 0.4 s every so often."""
    samples = noise(seconds)
    for at_s in np.arange(every_s, seconds - 1, every_s):
        samples[round(at_s * RATE_HZ) : round((at_s + 0.4) * RATE_HZ)] *= 0.01
    return samples


def test_pieces_are_cut_in_pauses_and_lose_no_frame() -> None:
    pieces = Loudness.of(with_pauses(100.0, 6.3)).pieces()

    assert pieces[0].start == 0
    assert pieces[-1].end_s == 100.0
    assert [each.end for each in pieces[:-1]] == [each.start for each in pieces[1:]]
    assert all(SHORTEST_S <= (each.end - each.start) / 100 <= LONGEST_S for each in pieces[:-1])
    for piece in pieces[:-1]:
        after_s = piece.end_s % 6.3
        assert 0.0 <= after_s <= 0.4, piece


def test_long_silence_is_in_no_piece_and_short_words_around_it_are() -> None:
    silence = np.zeros(120 * RATE_HZ, np.float32)
    pieces = Loudness.of(np.concatenate((noise(1), silence, noise(0.4), silence))).pieces()

    assert [(round(each.start_s, 1), round(each.end_s, 1)) for each in pieces] == [(0.0, 1.5), (120.5, 121.9)]
    assert Loudness.of(silence).pieces() == []


def test_the_shortest_sounds_are_a_piece() -> None:
    assert Loudness.of(noise(0.001)).pieces() == [Piece(0, 1)]
    assert Loudness.of(np.zeros(0, np.float32)).pieces() == []
