"""What a GPU can do, and clocks for work on its streams."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch
from measure import Call, median_seconds
from measure import seconds as wall_seconds
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

COPY_BYTES = 2 << 30
# Many times the largest second-level cache.
FLUSH_BYTES, FLUSHES = 1 << 30, 4


@dataclass(frozen=True)
class Card:
    """What the figures of a run on a GPU depend on; rates in bytes per second."""

    name: str
    memory_bytes: int
    cuda: str
    python: str
    copy_rate: float
    fill_rate: float

    def __str__(self) -> str:
        return (
            f"{self.name}, {self.memory_bytes / 1e9:.0f} GB, CUDA {self.cuda}, Python {self.python}; copies "
            f"{self.copy_rate / 1e9:,.0f} GB/s (read + written), fills {self.fill_rate / 1e9:,.0f} GB/s"
        )


def measured_card() -> Card:
    """Measure the current GPU before anything else runs on it."""
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    clock = StreamClock()
    target, source = (torch.ones(COPY_BYTES // 4, device="cuda") for _ in range(2))
    copy_rate = 2 * COPY_BYTES / median_seconds(lambda: target.copy_(source), clock=clock)
    fill_rate = COPY_BYTES / median_seconds(lambda: target.fill_(2.0), clock=clock)
    cuda = str(torch.version.cuda)
    return Card(properties.name, properties.total_memory, cuda, platform.python_version(), copy_rate, fill_rate)


class StreamClock:
    """Times what a call puts on the current stream, between two events, begun with a cold second-level cache.

    The cache is flushed by reading: what it holds then is clean, and the call pays for nobody's writing back. As the
    stream is busy with that for a millisecond or so, the host has put the call's kernels behind it when it is done: its
    own time is not counted, unless it takes longer.
    """

    def __init__(self) -> None:
        self._other = torch.ones(FLUSH_BYTES // 4, device="cuda")
        self._begin, self._end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def __call__(self, call: Call) -> float:
        for _ in range(FLUSHES):
            self._other.sum()
        self._begin.record()
        result = call()
        self._end.record()
        self._end.synchronize()
        del result
        return self._begin.elapsed_time(self._end) / 1e3


def whole_seconds(call: Call) -> float:
    """Time a call from the host's view, until all it put on the GPU is done."""

    def finished() -> object:
        result = call()
        torch.cuda.synchronize()
        return result

    torch.cuda.synchronize()
    return wall_seconds(finished)


def kernel_seconds(call: Call) -> float:
    """Add up the time of a call's kernels alone: no copies from or to the host, and nothing between kernels."""
    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        result = call()
        torch.cuda.synchronize()
    del result
    events = [event for event in trace.events() if event.device_type == DeviceType.CUDA]
    kernels = [event for event in events if not event.name.startswith(("Memcpy", "Memset"))]
    if not kernels:
        raise RuntimeError("no kernel ran: the call did its work on the CPU")
    return sum(event.time_range.elapsed_us() for event in kernels) / 1e6
