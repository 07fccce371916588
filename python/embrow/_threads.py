"""How many threads a call may use."""

from __future__ import annotations

import os
import sys

from embrow import _core
from embrow._arguments import integer

_MOST_THREADS = _core.most_threads()


def resolve_num_threads(num_threads: int | None) -> int:
    """Return `num_threads`, else torch's setting when torch is loaded, else the CPUs this process may use.

    At most as many as the kernels start, which is several to a CPU.
    """
    return min(_asked_for(num_threads), _MOST_THREADS)


def _asked_for(num_threads: int | None) -> int:
    if num_threads is not None:
        threads = integer("num_threads", num_threads)
        if threads < 1:
            raise ValueError(f"num_threads must be 1 or more, found {threads}")
        return threads
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        return int(torch.get_num_threads())
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
