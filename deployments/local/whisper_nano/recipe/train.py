"""Train whisper-nano: phase ``first`` from scratch, phase ``guided`` once word times are known.

Phase ``first`` learns tokens with CTC over words and phones. Then ``align.py`` finds word times
with that checkpoint, and phase ``guided`` (with ``--init``) adds guided attention, the frame loss
and windows whose neighbours share words.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from losses import Losses, Weights, compute_losses
from model import Networks, Phones, Size, Vocabulary
from torch import Tensor
from windows import Batch, Split, WindowMaker

PHASES = {
    "first": Weights(words=0.7, phones=0.5, guide=0.0, frames=0.0),
    "guided": Weights(words=0.5, phones=0.4, guide=0.7, frames=0.7),
}
WARM_UP_STEPS = 200
FULL_SHARE = 0.75  # of the windows once full windows have begun
REPORT_STEPS, EVALUATE_STEPS = 25, 200
SAVE_SECONDS = 150


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch's tensors to a device."""
    tensors = {f.name: getattr(batch, f.name) for f in fields(batch)}
    moved = {k: v.to(device) for k, v in tensors.items() if isinstance(v, Tensor)}
    return replace(batch, **moved)


class Trainer:
    """Everything one run needs."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Load data, build the networks and the development batches."""
        self.options, self.device = options, torch.device(options.device)
        guided = options.phase == "guided"
        self.weights = PHASES[options.phase]
        self.vocabulary = Vocabulary()
        self.phones = Phones(options.data / "phones.json")
        size = Size(options.width, options.heads, options.encoder, options.decoder)
        self.networks = Networks(size, self.vocabulary, len(self.phones))
        if options.init:
            self.networks.load_state(options.init)
        self.networks.to(self.device)
        train, dev = (Split(options.data, name, options.voices) for name in ("train", "dev"))
        if guided:
            train.keep_aligned()
            dev.keep_aligned()
        if not len(train) or not len(dev):
            raise SystemExit("no utterances to train on: run speech.py (and align.py) first")
        self.dice = random.Random(7)
        self.maker = WindowMaker(train, self.vocabulary, self.dice, repeat=guided)
        dev_maker = WindowMaker(dev, self.vocabulary, random.Random(11), repeat=guided)
        self.dev_batches = {
            "short": [dev_maker.batch(full=False, size=16) for _ in range(2)],
            "full": [dev_maker.batch(full=True, size=4) for _ in range(3)],
        }
        self.optimizer = self.make_optimizer()
        options.out.mkdir(parents=True, exist_ok=True)
        print(f"{len(train)} utterances, {len(self.vocabulary.used)} tokens", flush=True)

    def make_optimizer(self) -> torch.optim.AdamW:
        """AdamW; biases and norms do not decay."""
        parameters = self.networks.parameters()
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.options.lr, betas=(0.9, 0.98))

    def losses(self, batch: Batch) -> Losses:
        """Losses of one batch."""
        return compute_losses(self.networks, self.phones, to_device(batch, self.device))

    def step(self, number: int, progress: float) -> Losses:
        """Take one optimiser step; ``progress`` runs from 0 to 1."""
        options = self.options
        warm_up = min(1.0, (number + 1) / WARM_UP_STEPS)
        rate = options.lr * warm_up * min(1.0, max(0.0, (1 - progress) / options.decay))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        full = progress > options.full_from and self.dice.random() < FULL_SHARE
        batch = self.maker.batch(full, options.full_batch if full else options.short_batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=options.bf16):
            losses = self.losses(batch)
        losses.total(self.weights).backward()
        torch.nn.utils.clip_grad_norm_(self.networks.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return losses

    @torch.no_grad()
    def evaluate(self) -> str:
        """Losses and share of right text tokens on the development windows."""
        lines = []
        for name, batches in self.dev_batches.items():
            values, right, total = [], 0, 0
            for batch in batches:
                losses = self.losses(batch)
                values.append(losses.values())
                guess = losses.logits.argmax(-1).cpu()
                text = (batch.mask > 0) & (batch.targets < self.vocabulary.text_count)
                right += (guess == batch.targets)[text].sum().item()
                total += text.sum().item()
            means = np.mean(values, 0).round(3).tolist()
            lines.append(f"{name} {means} right {right / max(1, total):.3f}")
        return "; ".join(lines)

    def save(self) -> None:
        """Write the checkpoint and the training state; a reader never sees half a file."""
        for name, write in (("ckpt", self.networks.export), ("state", self.networks.save_state)):
            fresh = self.options.out / f"{name}.tmp"
            write(fresh)
            fresh.replace(self.options.out / f"{name}.pt")

    def run(self) -> None:
        """Train until the time or the steps are up."""
        options, begin = self.options, time.monotonic()
        saved, step, recent = begin, 0, []
        print(f"before: {self.evaluate()}", flush=True)
        while True:
            progress = (time.monotonic() - begin) / 60 / options.minutes
            if options.max_steps:
                progress = max(progress, step / options.max_steps)
            if progress >= 1:
                break
            recent.append(self.step(step, progress).values())
            step += 1
            if step % REPORT_STEPS == 0:
                print(step, f"{progress:.3f}", np.mean(recent, 0).round(3).tolist(), flush=True)
                recent = []
            if step % EVALUATE_STEPS == 0:
                print(self.evaluate(), flush=True)
            if time.monotonic() - saved > SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
        self.save()
        print(f"after {step} steps: {self.evaluate()}", flush=True)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--phase", choices=list(PHASES), required=True)
    add("--data", type=Path, required=True, help="folder that speech.py wrote")
    add("--out", type=Path, required=True, help="folder for ckpt.pt and state.pt")
    add("--init", type=Path, help="training state to go on from (.pt or .pt.xz)")
    add("--minutes", type=float, default=50)
    add("--max-steps", type=int, default=0, help="stop earlier, after this many steps")
    add("--width", type=int, default=96)
    add("--heads", type=int, default=4)
    add("--encoder", type=int, default=3, help="layers")
    add("--decoder", type=int, default=2, help="layers")
    add("--lr", type=float, default=1.4e-3)
    add("--decay", type=float, default=0.6, help="share of the run in which the rate falls")
    add("--short-batch", type=int, default=10)
    add("--full-batch", type=int, default=3)
    add("--full-from", type=float, default=0.5, help="progress at which 30 s windows begin")
    add("--voices", nargs="*", default=(), help="train on these voices only")
    add("--bf16", action="store_true", help="bfloat16 autocast")
    add("--threads", type=int, default=2)
    add("--device", default="cpu")
    return parser.parse_args()


def main() -> None:
    """Train."""
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    Trainer(options).run()


if __name__ == "__main__":
    main()
