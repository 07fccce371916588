"""
embrow's CUDA kernels; private, use the package's Python names
"""

from __future__ import annotations

import typing

__all__: list[str] = [
    "architectures",
    "bad_bag_id_message",
    "bad_id_message",
    "check_fault",
    "clear_fault",
    "devices",
    "fault_bytes",
    "gather_rows",
    "old_driver_message",
    "runtime_version",
]

def architectures() -> list[int]: ...
def bad_bag_id_message(
    position: typing.SupportsInt | typing.SupportsIndex,
    value: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
) -> str: ...
def bad_id_message(
    position: typing.SupportsInt | typing.SupportsIndex,
    value: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
) -> str: ...
def check_fault(
    fault: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex
) -> None: ...
def clear_fault(
    fault: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex
) -> None: ...
def devices() -> list[str]: ...
def gather_rows(
    table: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    stride_bytes: typing.SupportsInt | typing.SupportsIndex,
    row_bytes: typing.SupportsInt | typing.SupportsIndex,
    ids: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    ids_are_int64: bool,
    out: typing.SupportsInt | typing.SupportsIndex,
    fault: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def old_driver_message(
    driver: typing.SupportsInt | typing.SupportsIndex, runtime: typing.SupportsInt | typing.SupportsIndex
) -> str: ...
def runtime_version() -> str: ...

fault_bytes: int = 24
