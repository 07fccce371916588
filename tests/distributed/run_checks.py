"""Checks run by every process of a world at once, in one order; torchrun starts it.

Arguments: the backend, the folder, the names of checks. A line of JSON for each check that a process has finished
goes to the folder's `<world size>-<rank>.jsonl`. The first to fail ends its process, and with it the run: the others
would wait for it in vain.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
import warnings
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from world import Check, World

# By the size of the world; the larger ones save what the smaller ones load.
MODULES = {
    4: ("check_wrappers", "check_sharding", "check_checkpoints"),
    2: ("check_wrappers", "check_sharding", "check_checkpoints"),
    1: ("check_sharding", "check_checkpoints", "check_compiling"),
}
WAIT = timedelta(seconds=30)


def checks(size: int) -> dict[str, Check]:
    """Return the checks of a world by name, in order."""
    return {
        f"{module}.{name}": check
        for module in MODULES[size]
        for name, check in vars(importlib.import_module(module)).items()
        if name.startswith("check_")
    }


def main() -> None:
    backend, folder, *names = sys.argv[1:]
    # Failures of a collective are to be told, not waited out.
    dist.init_process_group(backend, timeout=WAIT)
    rank, size = dist.get_rank(), dist.get_world_size()
    device = "cuda" if backend == "nccl" else "cpu"
    if device == "cuda":
        torch.cuda.set_device(rank)
    torch.set_num_threads(1)
    world = World(rank, size, init_device_mesh(device, (size,)), Path(folder))
    known = checks(size)
    with open(world.folder / f"{size}-{rank}.jsonl", "a", encoding="utf-8") as report:
        for name in names:
            error = None
            try:
                known[name](world)
                dist.barrier()
            except Exception:
                error = traceback.format_exc()
            report.write(json.dumps({"check": name, "error": error}) + "\n")
            report.flush()
            if error is not None:
                sys.exit(1)
    dist.destroy_process_group()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
