"""Whether the threads of PyTorch's own operators are sooner at work than those of our kernels."""

from __future__ import annotations

import os

from embrow import _core

# Emptied in a child, which has none of the threads that OpenMP has started in its parent, and would wait for them in
# vain.
_has_threads = [True]


def is_sooner() -> bool:
    """Whether to leave what takes some microseconds to PyTorch's operators, which share it among OpenMP's threads.

    Those spin for a while after each operator, and our helpers, which spin only where the next kernel soon follows, are
    asleep then. Either has to wake the other.
    """
    return bool(_has_threads) and not _core.has_helper_awake()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_has_threads.clear)
