"""CUDA kernels -> registers, shared memory, spills and occupancy on each architecture: `cuda_resources.py --help`.

Needs nvcc and c++filt on PATH and, there or from PyPI (nvidia-cuda-cuobjdump, nvidia-cuda-nvdisasm), cuobjdump and
nvdisasm; no GPU. Nothing is linked: each source of `_cuda` is compiled alone, to a cubin that is kept by its content.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from readme import FIGURES, with_tables

ROOT = FIGURES.parents[1]
# Those of CMakeLists.txt that matter to device code.
FLAGS = ("-std=c++20", "--fmad=false", "-O3", "-DNDEBUG", "-Icsrc")
# Resident on a multiprocessor at most: warps, blocks, KiB of shared memory (CUDA Programming Guide, Compute
# Capabilities). Each has 65,536 registers in four parts, and since 8.0 each block costs 1 KiB of shared memory.
LIMITS = {
    75: (32, 16, 64),
    80: (64, 32, 164),
    86: (48, 16, 100),
    89: (48, 24, 100),
    90: (64, 32, 228),
    100: (64, 32, 228),
    120: (48, 24, 100),
}
# 16 bytes at a time, or they would not reach the copy rate.
WIDE = ("gather_long<uint4>", "gather_short<uint4>")


@dataclass(frozen=True)
class Kernel:
    """One variant of a kernel on one architecture."""

    name: str
    architecture: int
    threads: int | None  # of a block; None without launch bounds
    registers: int
    shared_bytes: int
    local_bytes: int  # what is spilled, or indexed as registers cannot be

    @property
    def ours(self) -> bool:
        return not self.name.startswith(("cub::", "thrust::"))

    @property
    def group(self) -> str:
        return f"`{self.name.partition('<')[0]}`" if self.ours else "CUB's own"

    @property
    def occupancy(self) -> float:
        """Warps resident, of the most that can be; 0 without launch bounds."""
        if self.threads is None:
            return 0.0
        most_warps, most_blocks, shared_kib = LIMITS[self.architecture]
        warps = -(-self.threads // 32)
        register_warps = 65536 // 4 // _round_up(self.registers * 32, 256) * 4
        blocks = min(most_warps // warps, most_blocks, register_warps // warps)
        if shared := _round_up(self.shared_bytes + (1024 if self.architecture >= 80 else 0), 128):
            blocks = min(blocks, shared_kib * 1024 // shared)
        return blocks * warps / most_warps


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def run(*command: str | Path, given: str | None = None) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, text=True, input=given, stdout=subprocess.PIPE).stdout


def architectures() -> list[int]:
    """Those that EMBROW_CUDA=ON builds for."""
    lists = re.findall(r"set\(CMAKE_CUDA_ARCHITECTURES (\d.*)\)", (ROOT / "cmake/cuda.cmake").read_text("utf-8"))
    return [int(number) for number in re.findall(r"\d+", lists[0])]


def cubins(architecture: int, cache: Path) -> dict[str, Path]:
    """Compile the sources of `_cuda` that have not been, as they are with all they include; by their names."""
    found = {}
    compiler = run("nvcc", "--version")
    for source in re.findall(r"csrc/\S+\.cu\b", (ROOT / "CMakeLists.txt").read_text("utf-8")):
        digest = hashlib.sha256(f"{compiler}{FLAGS}".encode())
        for path in run("nvcc", *FLAGS, "-M", source).replace("\\\n", " ").split()[2:]:
            digest.update((ROOT / path).read_bytes())
        cubin = cache / f"{Path(source).stem}-{architecture}-{digest.hexdigest()[:16]}.cubin"
        if not cubin.exists():
            print(f"compiling {source} for sm_{architecture}", file=sys.stderr, flush=True)
            whole = cubin.with_suffix(".part")
            run("nvcc", *FLAGS, f"-arch=sm_{architecture}", "-cubin", "-o", whole, source)
            whole.rename(cubin)
        found[Path(source).stem] = cubin
    return found


def kernels_of(cubin: Path, architecture: int) -> list[Kernel]:
    text = run("cuobjdump", "-elf", "-res-usage", cubin)
    threads: dict[str, int] = {}
    for section in text.split("\n.nv.info.")[1:]:
        if bounds := re.search(r"EIATTR_MAX_THREADS\n.*\n\s+Value:\s+(\w+) (\w+) (\w+)", section):
            x, y, z = (int(number, 16) for number in bounds.groups())
            threads[section.partition("\n")[0].strip()] = x * y * z
    usage = re.findall(r" Function (\w+):\n\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", text)
    names = demangled([symbol for symbol, *_ in usage])
    return [
        Kernel(name, architecture, threads.get(symbol), int(registers), int(shared), int(stack) + int(local))
        for name, (symbol, registers, stack, shared, local) in zip(names, usage, strict=True)
    ]


def demangled(symbols: Sequence[str]) -> list[str]:
    """Return names as the sources have them, with template arguments, without parameters."""
    names = run("c++filt", "--no-params", given="\n".join(symbols)).splitlines()
    return [re.sub(r"embrow::(device::)?", "", name.removeprefix("void ")) for name in names]


def narrow_copies(cubin: Path) -> list[str]:
    """Tell which kernels of WIDE do not copy rows in loads and stores of 16 bytes alone.

    That is, from a kernel's first 16-byte access of global memory to its last there must be no narrower one (ids are
    read, and bad ones recorded, before), it must both load and store, and all its streaming stores have 16 bytes.
    """
    functions = run("cuobjdump", "-sass", cubin).split("\t\tFunction : ")[1:]
    bodies = dict(zip(demangled([body.partition("\n")[0] for body in functions]), functions, strict=True))
    faults = []
    for name in WIDE:
        accesses = re.findall(r"\b(?:LDG|STG)\.[\w.]+", bodies[name])
        wide = [index for index, access in enumerate(accesses) if ".128" in access]
        copies = accesses[wide[0] : wide[-1] + 1] if wide else []
        copies += [access for access in accesses if ".EF" in access]
        if {(access[:3], ".128" in access) for access in copies} != {("LDG", True), ("STG", True)}:
            faults.append(f"{cubin.name}: {name} copies by {sorted(set(copies))}")
    return faults


def markdown(kernels: Sequence[Kernel]) -> str:
    """Return a line for each kernel; of its variants, and of all CUB's kernels, the greatest need counts."""
    found = sorted({kernel.architecture for kernel in kernels})
    version = re.findall(r"V([\d.]+)$", run("nvcc", "--version"), re.MULTILINE)[0]
    lines = [f"nvcc {version}. A block's threads; registers of a thread, occupancy, bytes spilled.", ""]
    lines.append(
        "| kernel | variants | block | shared bytes | " + " | ".join(f"sm_{number}" for number in found) + " |"
    )
    lines.append("| --- " + "| --: " * (3 + len(found)) + "|")
    for group in sorted({kernel.group for kernel in kernels}, key=lambda group: (not group.startswith("`"), group)):
        mine = [kernel for kernel in kernels if kernel.group == group]
        each = [[kernel for kernel in mine if kernel.architecture == number] for number in found]
        blocks = sorted({str(kernel.threads) for kernel in mine if kernel.threads}, key=int)
        facts = [str(max(map(len, each))), " to ".join(dict.fromkeys(blocks[:1] + blocks[-1:])) or "not bounded"]
        facts.append(f"{max(kernel.shared_bytes for kernel in mine):,}")
        lines.append("| " + " | ".join([group, *facts, *map(cell, each)]) + " |")
    return "\n".join(lines)


def cell(kernels: Sequence[Kernel]) -> str:
    parts = [str(max(kernel.registers for kernel in kernels))]
    parts += [f"{min(bounded):.0%}"] if (bounded := [k.occupancy for k in kernels if k.threads]) else []
    parts += [f"{spilled} spilled"] if (spilled := max(kernel.local_bytes for kernel in kernels)) else []
    return ", ".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--architectures", type=int, nargs="+", choices=LIMITS, metavar="N", help="default: EMBROW_CUDA=ON's")
    cache = Path(tempfile.gettempdir(), "embrow-cubins")
    add("--cache", type=Path, default=cache, help="folder for the cubins (default: %(default)s)")
    add("--check-sass", action="store_true", help="assert that gathers copy 16 bytes at a time")
    add("--write", action="store_true", help=f"put the table into {FIGURES.relative_to(ROOT)}")
    asked = parser.parse_args()
    tools = Path(sysconfig.get_path("purelib")).glob("nvidia/*/bin")
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, tools)])
    asked.cache.mkdir(parents=True, exist_ok=True)

    kernels: list[Kernel] = []
    faults: list[str] = []
    for architecture in asked.architectures or architectures():
        compiled = cubins(architecture, asked.cache.resolve())
        kernels += chain.from_iterable(kernels_of(cubin, architecture) for cubin in compiled.values())
        if asked.check_sass:
            faults += narrow_copies(compiled["gather_cuda"])
    spills = [kernel for kernel in kernels if kernel.ours and kernel.local_bytes]
    faults += [f"sm_{kernel.architecture}: {kernel.name} spills {kernel.local_bytes} bytes" for kernel in spills]
    table = markdown(kernels)
    print(table)
    if asked.write:
        report = f"<!-- cuda_resources -->\n{table}\n<!-- /cuda_resources -->\n"
        FIGURES.write_text(with_tables(FIGURES.read_text("utf-8"), report), "utf-8")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
