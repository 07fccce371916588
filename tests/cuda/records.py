"""A record of what is wrong with ids, as the package keeps them, in the device's memory."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from embrow import _gpu


class Record:
    """Says that nothing went wrong until a kernel has written to `ptr`."""

    def __init__(self, device: ModuleType, kind: str = "lookup") -> None:
        self._device, self._kind = device, kind
        self._clear()

    def _clear(self) -> None:
        self._array = self._device.to_device(np.full(_gpu.record_words, _gpu.nothing))

    @property
    def ptr(self) -> int:
        address: int = self._array.ptr
        return address

    def check(self) -> None:
        """Wait, raise what the record tells and forget it."""
        error = _gpu.error_of(self._kind, self._device.to_host(self._array))
        self._clear()
        if error is not None:
            raise error
