"""Ctrl-C while vectors are read or written: over within a second, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from embrow.vectors import WordVectors
from packed import pack
from vector_files import write

# The child says that it has begun, then works on the same file until the signal comes. It hears it also where a shell
# began pytest in the background and so deaf to it.
CHILD = """
import signal, sys, threading
from embrow.vectors import load_vectors
signal.signal(signal.SIGINT, signal.default_int_handler)
begun = False
def progress(done, total):
    global begun
    if not begun:
        begun = True
        print("begun", flush=True)
try:
    while True:
        vectors = load_vectors(sys.argv[1], progress=progress)
        if len(sys.argv) > 2:
            vectors.save(sys.argv[2], "word2vec-text")
except KeyboardInterrupt:
    left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    sys.exit(f"threads are left: {left}" if any("embrow" in name for name in left) else 42)
"""


def interrupted(folder: Path, *arguments: object, after_s: float) -> None:
    before = sorted(os.listdir(folder))
    command = [sys.executable, "-c", CHILD, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        time.sleep(after_s)
        child.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, error = child.communicate(timeout=20)
        took = time.monotonic() - start
    assert (child.returncode, error) == (42, "")
    assert took < 1
    assert [name for name in sorted(os.listdir(folder)) if name not in before] in ([], ["out"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("vectors")
    rows = 30_000
    weight = np.random.default_rng(0).standard_normal((rows, 50)).astype(np.float32)
    vectors = WordVectors([f"word{i}" for i in range(rows)], weight)
    vectors.save(made / "v.vec")
    vectors.save(made / "v.bin")
    write(made / "v.gz", pack((made / "v.bin").read_bytes(), "gzip"))
    return made


@pytest.mark.parametrize("name", ["v.vec", "v.bin", "v.gz"])
@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.11])
def test_loading(folder: Path, name: str, after_s: float) -> None:
    interrupted(folder, folder / name, after_s=after_s)


@pytest.mark.parametrize("after_s", [0.1, 0.23])
def test_saving(folder: Path, tmp_path: Path, after_s: float) -> None:
    interrupted(tmp_path, folder / "v.bin", tmp_path / "out", after_s=after_s)
