"""How the benchmarks measure: medians, alternation between peers, and what this machine can do."""

from __future__ import annotations

import gc
import hashlib
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Call = Callable[[], Any]
# Seconds that one call takes.
Clock = Callable[[Call], float]

COPY_BYTES = 512 << 20
# A call this slow has no caches to warm.
SLOW_S = 0.5
# More than most calls take for their results and while they make them.
WARM_BYTES = 512 << 20


def seconds(call: Call) -> float:
    """Time one call; dropping its result is not timed."""
    start = time.perf_counter()
    result = call()
    elapsed = time.perf_counter() - start
    del result
    return elapsed


@dataclass(frozen=True)
class Clocks:
    """Three views of a call: what it puts on a stream, all of it, its kernels alone. On a CPU they are one."""

    stream: Clock = seconds
    whole: Clock = seconds
    kernels: Clock = seconds


def median_seconds(call: Call, repeats: int = 15, warmup: int = 2, clock: Clock = seconds) -> float:
    """Return the median of `repeats` calls after `warmup` untimed ones."""
    for _ in range(warmup):
        call()
    return statistics.median(clock(call) for _ in range(repeats))


def interleaved(
    calls: Mapping[str, Call],
    repeats: int = 15,
    warmup: int = 2,
    budget_s: float = math.inf,
    clock: Clock = seconds,
    turn_s: float = 0,
) -> dict[str, float]:
    """Return the median seconds of each call, timed in turn so that a noisy moment falls on all of them.

    A turn is one call, or as many as take `turn_s`, for what is called in a loop: threads that spin after one library's
    call, and what it leaves in the caches, then slow the first of another's calls and not all of them.

    The order is reversed every round: what one call leaves in the caches helps or harms each neighbour equally often. A
    call that has taken `budget_s` of clock time sits out the rounds that are left. After a slow call free memory is
    backed again, and a much quicker call runs once untimed: else it pays for the millions of small blocks its
    neighbour freed, which the next malloc sorts.
    """
    gc.collect()
    fastest = dict.fromkeys(calls, math.inf)
    for name, call in calls.items():
        for _ in range(warmup):
            fastest[name] = min(fastest[name], clock(call))
            if fastest[name] > SLOW_S:
                break
    times: dict[str, list[float]] = {name: [] for name in calls}
    before = math.inf
    for turn in range(repeats):
        for name in list(calls)[:: 1 if turn % 2 == 0 else -1]:
            if sum(times[name]) >= budget_s:
                continue
            if before > SLOW_S:
                _warm_memory()
                if fastest[name] < before / 4:
                    clock(calls[name])
            left = turn_s
            while True:
                before = clock(calls[name])
                fastest[name] = min(fastest[name], before)
                times[name].append(before)
                left -= before
                if left <= 0:
                    break
    return {name: statistics.median(found) for name, found in times.items()}


def _warm_memory() -> None:
    """Have free pages backed by the machine: of a virtual one, what was free for two seconds may be the host's again.

    To get pages of 2 MB back from it took 30 times as long here as to clear them.
    """
    np.ones(WARM_BYTES, np.uint8)


def copy_rate(repeats: int = 7) -> float:
    """Return the bytes per second, read plus written, of copying a 512 MB buffer that is mapped already."""
    source = torch.ones(COPY_BYTES // 8, dtype=torch.float64)
    target = torch.empty_like(source)
    return 2 * COPY_BYTES / median_seconds(lambda: target.copy_(source), repeats)


def fill_rate(repeats: int = 7) -> float:
    """Return the bytes per second of filling a 512 MB buffer that is mapped already."""
    target = torch.ones(COPY_BYTES // 8, dtype=torch.float64)
    return COPY_BYTES / median_seconds(lambda: target.fill_(2.0), repeats)


def thread_gain(threads: int, repeats: int = 21) -> float:
    """Return how many times one thread's arithmetic `threads` of them do, hashing what stays in the first-level cache.

    No kernel's gain can pass it: processors may be halves of one core, or shared with a neighbour.
    """
    data = bytes(16 << 10)

    def work(_: int = 0) -> None:
        for _ in range(400):
            hashlib.blake2b(data).digest()

    with ThreadPoolExecutor(threads) as pool:
        found = interleaved({"one": work, "all": lambda: list(pool.map(work, range(threads)))}, repeats)
    return threads * found["one"] / found["all"]


def geometric_mean(values: Iterable[float]) -> float:
    """Return the n-th root of the product of n values."""
    return math.exp(statistics.fmean(math.log(value) for value in values))
