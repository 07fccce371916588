"""Where the package refuses to be imported."""

from __future__ import annotations

import subprocess
import sys

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
