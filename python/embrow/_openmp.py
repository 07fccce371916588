"""Whether the threads of PyTorch's own operators are sooner at work than those of our kernels."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from embrow import _core

# Below this PyTorch's operators have one thread, are as fast as our kernels, and cost less to call.
few_elements = 32768
_get_num_threads = torch.get_num_threads
_forked_since_exec = 0x40  # PF_FORKNOEXEC, of the flags in proc(5)'s stat


def _is_forked() -> bool:
    """Whether this process is a child that has run no other program since: Linux alone tells."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return bool(int(fields[6]) & _forked_since_exec)


# Empty in a child, which has none of the threads that OpenMP has started in its parent, and would wait for them in
# vain.
_threads = [] if _is_forked() else ["OpenMP's"]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.clear)


def is_there() -> bool:
    """Whether PyTorch's operators may share their work among OpenMP's threads."""
    return bool(_threads)


def is_sooner() -> bool:
    """Whether to leave what takes some microseconds to PyTorch's operators, which share it among OpenMP's threads.

    Those spin for a while after each operator, and our helpers, which spin only where the next kernel soon follows, are
    asleep then. Either has to wake the other.
    """
    return is_there() and not _core.has_helper_awake() and _get_num_threads() > 1
