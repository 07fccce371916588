"""The interpreter that imports the package must be the process's main one.

Compiled modules made with pybind11 wait forever in another where Python does not refuse them, before 3.12.
"""

from __future__ import annotations

_REFUSED = "embrow does not run in sub-interpreters: import it in the main interpreter"

try:
    import ctypes
except ImportError as error:  # Python 3.12's own refuses them
    raise ImportError(_REFUSED if "subinterpreters" in str(error) else "embrow needs Python's ctypes") from error

_get = ctypes.pythonapi.PyInterpreterState_Get
_main = ctypes.pythonapi.PyInterpreterState_Main
_get.restype = _main.restype = ctypes.c_void_p
if _get() != _main():
    raise ImportError(_REFUSED)
