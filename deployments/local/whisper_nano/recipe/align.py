"""Find when each word of the training utterances is spoken.

A Viterbi search over the phone posteriors of a partly trained network gives each phone its frames;
each utterance of the index gets ``words``: one [start, end] in seconds for each word.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from losses import encode
from model import Networks, Phones, Size, Vocabulary
from torch import Tensor
from windows import SAMPLE_RATE, Split, log_mel

FRAME = 320  # samples in one encoder frame of 20 ms
LEAD_FRAMES = 5  # silence put before each utterance
NEVER = -1e9
BATCH = 48


@torch.no_grad()
def phone_posteriors(networks: Networks, audio: Tensor) -> Tensor:
    """Log probabilities of the phones, (B, N) samples to (B, N / 320, phones)."""
    offsets = torch.zeros(len(audio), dtype=torch.long)
    _, middle = encode(networks, log_mel(audio), offsets)
    classify, _, norm = networks.heads
    return classify(norm(middle.float())).log_softmax(-1)


def viterbi(logs: Tensor, lengths: Tensor, targets: list[list[int]]) -> list[list[int]]:
    """Best CTC path of each utterance.

    Args:
        logs: (B, S, phones) log probabilities, blank first.
        lengths: (B,) frames in use.
        targets: Phones of each utterance.

    Returns:
        For each utterance the state at each frame; state 2 i + 1 is phone i, even states are blank.
    """
    count, frames, _ = logs.shape
    states = torch.zeros(count, 2 * max(map(len, targets)) + 1, dtype=torch.long)
    for row, target in enumerate(targets):
        states[row, 1 : 2 * len(target) : 2] = torch.tensor(target)
    may_skip = torch.zeros_like(states, dtype=torch.bool)  # over the blank between two phones
    may_skip[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    score = torch.full(states.shape, NEVER)
    score[:, :2] = logs[:, 0].gather(1, states[:, :2])
    moves = torch.zeros(frames, *states.shape, dtype=torch.int8)
    for frame in range(1, frames):
        one = F.pad(score, (1, 0), value=NEVER)[:, :-1]
        two = F.pad(score, (2, 0), value=NEVER)[:, :-2].masked_fill(~may_skip, NEVER)
        best, move = torch.stack([score, one, two]).max(0)
        live = (frame < lengths)[:, None]
        score = torch.where(live, best + logs[:, frame].gather(1, states), score)
        moves[frame] = torch.where(live, move, 0).to(torch.int8)
    return [trace(score[row], moves[:, row], int(lengths[row]), len(target)) for row, target in enumerate(targets)]


def trace(score: Tensor, moves: Tensor, frames: int, phones: int) -> list[int]:
    """Follow one utterance's moves back from its best last state."""
    last = 2 * phones
    state = last if score[last] > score[last - 1] else last - 1
    path = []
    for frame in range(frames - 1, -1, -1):
        path.append(state)
        state -= int(moves[frame, state])
    return path[::-1]


def word_times(path: list[int], words: list[list[int]], samples: int) -> list[list[float]]:
    """Turn a path into word times (seconds); words meet in the middle of the gap between them."""
    states = np.array(path)
    spans, phone = [], 0
    for word in words:
        first = np.flatnonzero(states == 2 * phone + 1)
        last = np.flatnonzero(states == 2 * (phone + len(word) - 1) + 1)
        found = len(first) and len(last)
        spans.append((first[0] - LEAD_FRAMES, last[-1] + 1 - LEAD_FRAMES) if found else (-1, -1))
        phone += len(word)
    end = samples / FRAME
    inner = [(a[1] + b[0]) / 2 for a, b in itertools.pairwise(spans)]
    edges = [0.0, *inner, end]
    return [[round(max(0.0, a) * 0.02, 2), round(min(end, b) * 0.02, 2)] for a, b in itertools.pairwise(edges)]


def align(networks: Networks, phones: Phones, split: Split, entries: list[dict[str, Any]]) -> None:
    """Add ``words`` to a batch of index entries of similar length."""
    lead, padding = LEAD_FRAMES * FRAME, 3200
    longest = max(entry["n"] for entry in entries) + padding
    audio = np.zeros((len(entries), longest + -longest % FRAME), np.float32)
    for row, entry in enumerate(entries):
        piece = split.samples[entry["off"] : entry["off"] + entry["n"]]
        audio[row, lead : lead + entry["n"]] = piece / np.float32(32768)
    logs = phone_posteriors(networks, torch.from_numpy(audio))
    used = [min(logs.shape[1], (entry["n"] + padding) // FRAME) for entry in entries]
    words = [[phones.of_word(w) for w in e["text"].strip(".?").split()] for e in entries]
    targets = [[phone for word in said for phone in word] for said in words]
    paths = viterbi(logs, torch.tensor(used), targets)
    for entry, path, said in zip(entries, paths, words, strict=True):
        entry["words"] = word_times(path, said, entry["n"])


def main() -> None:
    """Align the training and development splits in place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="training state of phase first")
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--encoder", type=int, default=3)
    parser.add_argument("--decoder", type=int, default=2)
    options = parser.parse_args()
    phones = Phones(options.data / "phones.json")
    size = Size(options.width, options.heads, options.encoder, options.decoder)
    networks = Networks(size, Vocabulary(), len(phones))
    networks.load_state(options.state)
    for name in ("train", "dev"):
        split = Split(options.data, name)
        by_length = sorted(split.index, key=lambda entry: entry["n"])
        for start in range(0, len(by_length), BATCH):
            align(networks, phones, split, by_length[start : start + BATCH])
        (options.data / f"{name}.json").write_text(json.dumps(split.index), encoding="utf-8")
        seconds = sum(entry["n"] for entry in split.index) / SAMPLE_RATE
        print(f"{name}: {len(split)} utterances, {seconds:.0f} s aligned", flush=True)


if __name__ == "__main__":
    main()
