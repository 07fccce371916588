"""The interpreter's life: where the package refuses to be imported, and threads that outlive it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

IMPORT = """
import sys
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters
code = '''
try:
    import embrow
except ImportError as error:
    print(error)
'''
if sys.argv[1] == "after":
    import embrow
made = interpreters.create()
interpreters.run_string(made, code)
interpreters.destroy(made)
import embrow
print(embrow.Vocab(["a"]).encode(["a"]))
"""


def test_sub_interpreters_are_refused() -> None:
    for when in ("before", "after"):
        done = subprocess.run(
            [sys.executable, "-c", IMPORT, when], capture_output=True, text=True, check=True, timeout=60
        )
        refused = "embrow does not run in sub-interpreters: import it in the main interpreter"
        assert done.stdout.splitlines() == [refused, "[[0]]"]


DAEMONS = """
import sys, threading, time
from embrow import TokenCounter, Vocab, pad_sequences
vocab = Vocab(["<pad>", "<unk>", "a"])
rows = ["a b c"] * 20_000
call = {
    "encode": lambda: vocab.encode(rows, num_threads=2),
    "encode_ragged": lambda: vocab.encode_ragged(rows, num_threads=1),
    "count": lambda: TokenCounter().update(rows, num_threads=2),
    "pad": lambda: pad_sequences([[1, 2, 3]] * 20_000, num_threads=2),
}[sys.argv[1]]
begun = threading.Barrier(4)

def serve():
    call()
    begun.wait()
    while True:
        call()

for _ in range(3):
    threading.Thread(target=serve, daemon=True).start()
begun.wait()
time.sleep(0.05)
print("ends")
"""


@pytest.mark.parametrize("call", ["encode", "encode_ragged", "count", "pad"])
def test_daemon_threads_at_work_let_the_process_end(call: str) -> None:
    for _ in range(3):
        command = [sys.executable, "-c", DAEMONS, call]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "ends\n", "")


OTHER = """
#include <pybind11/pybind11.h>

#include <system_error>

PYBIND11_MODULE(other, m) {
    m.def("fail", [] { throw std::system_error(2, std::generic_category()); });
}
"""

RAISED = """
import embrow._core, other
try:
    other.fail()
except Exception as error:
    print(type(error).__name__)
"""


def test_other_modules_of_pybind11_raise_what_they_did(tmp_path: Path) -> None:
    pybind11 = pytest.importorskip("pybind11")
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    source = tmp_path / "other.cpp"
    source.write_text(OTHER)
    includes = [f"-I{folder}" for folder in (sysconfig.get_path("include"), pybind11.get_include())]
    command = [compiler, "-std=c++17", "-shared", "-fPIC", *includes, "-o", tmp_path / "other.so", source]
    subprocess.run(command, check=True)
    command = [sys.executable, "-c", RAISED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path)
    assert done.stdout.split() == ["RuntimeError"]
