"""Where the decoder runs, and all that is done there otherwise than elsewhere.

On a GPU: half precision, steps captured as one graph, sound uploaded from pinned memory, busy time by events. Elsewhere
the same is computed plainly, in single precision. Nothing else in this package asks what the device is.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

MAX_BATCH, CPU_BATCH = 64, 8
# Of what is free, for caches and what the encoder needs on its way; the rest is for graphs, words and others.
SHARE_OF_MEMORY = 0.5
# Of the encoder's states at once, a row: its inputs, the fused projection, the hidden layer four times as wide.
STATES_AT_ONCE = 12
WARM_STEPS = 2


class Place(Protocol):
    """A device, as the decoder uses one."""

    @property
    def device(self) -> "torch.device":
        """Where tensors are."""

    @property
    def dtype(self) -> "torch.dtype":
        """What weights, caches and states are kept in."""

    def batch_size(self, bytes_a_row: int) -> int:
        """How many rows fit, at most."""

    def upload(self, samples: "NDArray[np.float32]") -> "torch.Tensor":
        """Sound on the device; may be called by a thread ahead of who computes."""

    def captured(self, step: Callable[[], None]) -> Callable[[], None]:
        """The step, to be run again and again on the same tensors.

        It is run while it is captured; who calls has nothing to lose in those tensors yet.
        """

    def busy(self) -> AbstractContextManager[None]:
        """What is launched within counts as busy time."""

    def take_busy_ms(self) -> int | None:
        """Busy time since this was last asked, milliseconds; None where that is not known."""

    def free(self) -> None:
        """Give back memory that is kept for later."""


@dataclass(frozen=True)
class Plain:
    """Any device of torch's, with no help of its own; by default the CPU."""

    name: str = "cpu"

    @property
    def device(self) -> "torch.device":
        """See ``Place``."""
        import torch

        return torch.device(self.name)

    @property
    def dtype(self) -> "torch.dtype":
        """See ``Place``."""
        import torch

        return torch.float32

    def batch_size(self, bytes_a_row: int) -> int:  # noqa: ARG002 - a CPU's memory is larger than what it can compute
        """See ``Place``."""
        return CPU_BATCH

    def upload(self, samples: "NDArray[np.float32]") -> "torch.Tensor":
        """See ``Place``."""
        import torch

        return torch.from_numpy(samples).to(self.device)

    def captured(self, step: Callable[[], None]) -> Callable[[], None]:
        """See ``Place``."""
        return step

    @contextmanager
    def busy(self) -> Iterator[None]:
        """See ``Place``."""
        yield

    def take_busy_ms(self) -> int | None:
        """See ``Place``: seconds of a CPU are not those of a GPU."""
        return None

    def free(self) -> None:
        """See ``Place``."""


@dataclass
class Cuda:
    """An NVIDIA GPU."""

    name: str = "cuda"
    _events: list[tuple["torch.cuda.Event", "torch.cuda.Event"]] = field(default_factory=list)
    _uploads: "torch.cuda.Stream | None" = None

    @property
    def device(self) -> "torch.device":
        """See ``Place``."""
        import torch

        return torch.device(self.name)

    @property
    def dtype(self) -> "torch.dtype":
        """See ``Place``."""
        import torch

        return torch.float16

    def batch_size(self, bytes_a_row: int) -> int:
        """See ``Place``: a power of two."""
        import torch

        free_bytes, _ = torch.cuda.mem_get_info(self.device)
        rows = max(1, int(free_bytes * SHARE_OF_MEMORY / bytes_a_row))
        return min(MAX_BATCH, 1 << (rows.bit_length() - 1))

    def upload(self, samples: "NDArray[np.float32]") -> "torch.Tensor":
        """See ``Place``: on a stream of its own, and waited for by the thread that uploads."""
        import torch

        self._uploads = self._uploads or torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._uploads):
            uploaded = torch.from_numpy(samples).pin_memory().to(self.device, non_blocking=True)
        self._uploads.synchronize()
        # Who computes with it does so on another stream, and its memory is not to be had before that is done.
        uploaded.record_stream(torch.cuda.current_stream(self.device))
        return uploaded

    def captured(self, step: Callable[[], None]) -> Callable[[], None]:
        """See ``Place``."""
        import torch

        aside = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_STEPS):  # what libraries set up on first use must not be part of the graph
                step()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads upload meanwhile
            step()
        return graph.replay

    @contextmanager
    def busy(self) -> Iterator[None]:
        """See ``Place``."""
        import torch

        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        try:
            yield
        finally:
            end.record()
        self._events.append((begin, end))

    def take_busy_ms(self) -> int | None:
        """See ``Place``."""
        events, self._events = self._events, []
        if events:
            events[-1][1].synchronize()
        return int(sum(begin.elapsed_time(end) for begin, end in events))

    def free(self) -> None:
        """See ``Place``."""
        import torch

        torch.cuda.empty_cache()


def place_of(device: "torch.device | str") -> Place:
    """The place that a device of torch's is."""
    import torch

    device = torch.device(device)
    return Cuda(str(device)) if device.type == "cuda" else Plain(str(device))
