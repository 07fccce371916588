"""Arrays and tensors over the same memory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def is_tensor(value: object) -> bool:
    """Return whether `value` is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def lies_on_gpu(value: object) -> bool:
    """Return whether `value` is a tensor on a GPU that embrow's kernels serve."""
    if not is_tensor(value):
        return False
    from embrow import _gpu  # it imports torch

    return _gpu.holds(cast("Tensor", value))


def is_cpu(device: Any) -> bool:
    """Return whether a device, which may be a name, is the CPU, without importing torch."""
    return str(device).partition(":")[0] == "cpu"


def device_of(device: Any, also: str = "") -> torch.device:
    """Return the device that an argument names; `also` is what the caller allows beside PyTorch's names."""
    of_name = import_torch().device
    try:
        found: torch.device = of_name(device)
    except TypeError:
        raise TypeError(
            f"device is {device!r} of type {type(device).__name__}; it is a str, an int or a torch.device"
        ) from None
    except RuntimeError as error:
        if isinstance(device, int):
            raise  # There is no accelerator to number the devices of.
        raise ValueError(
            f'device is {device!r}, which PyTorch does not know; give {also}"cpu", "cuda", "cuda:1" or another of its '
            "devices"
        ) from error
    return found


def check_device(out: Tensor, device: Any) -> None:
    """Raise if a call is to write to `out`, on a GPU, and yet to return what lies elsewhere."""
    from embrow import _gpu  # it imports torch

    if _gpu.served(device) != out.device:
        raise ValueError(f"out lies on {out.device}, so the result cannot lie on device {device}")


def import_torch() -> Any:
    """Return torch; where it is missing, say what needs it."""
    try:
        import torch
    except ImportError as error:
        raise ImportError('return_tensors="pt" needs PyTorch: pip install "embrow[torch]"') from error
    return torch


def target_of(out: Any) -> Any:
    """Return the array that an `out=` argument is written through."""
    if not is_tensor(out):
        return out
    if out.device.type != "cpu":
        raise ValueError(f"out lies on {out.device}; it must be on the CPU")
    if str(out.dtype) not in ("torch.int32", "torch.int64"):
        raise ValueError(f"out is {out.dtype}; ids are int32 or int64")
    return out.detach().numpy()


def result_of(array: Any, out: Any, return_tensors: str, device: Any) -> Any:
    """Return what a call promised: `out` if it was given, else the array, or a tensor over it on `device`."""
    if out is not None:
        if device is not None and not (is_tensor(out) and is_cpu(device)):
            raise ValueError(f"out is given, so the result cannot lie on device {device}; leave one of them out")
        if is_tensor(out):
            import torch

            torch.autograd.graph.increment_version(out)
        return out
    if return_tensors == "np":
        return array
    tensor = import_torch().from_numpy(array)
    return tensor if device is None else tensor.to(device)
