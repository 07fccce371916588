"""
embrow's CUDA kernels; private, use the package's Python names
"""

from __future__ import annotations

import typing

import embrow._core

__all__: list[str] = [
    "DeviceTable",
    "UpdatedTable",
    "architectures",
    "bad_bag_id_message",
    "bad_id_message",
    "bad_offset_message",
    "check_ragged",
    "clock_bytes",
    "count_tokens",
    "devices",
    "encode_facts_bytes",
    "encode_padded",
    "encode_workspace_bytes",
    "gather_rows",
    "old_driver_message",
    "pad_ragged",
    "pool_bags",
    "pool_workspace_bytes",
    "ragged_facts_bytes",
    "runtime_version",
    "scatter_bags",
    "scatter_bags_bytes",
    "scatter_rows",
    "scatter_rows_bytes",
]

class DeviceTable:
    """
    A vocabulary's table on a device: vocab/vocab_cuda.h.
    """
    def __init__(
        self,
        index: typing.SupportsInt | typing.SupportsIndex,
        slots: typing.SupportsInt | typing.SupportsIndex,
        keys: typing.SupportsInt | typing.SupportsIndex,
        arena: typing.SupportsInt | typing.SupportsIndex,
        longest: typing.SupportsInt | typing.SupportsIndex,
        seed_0: typing.SupportsInt | typing.SupportsIndex,
        seed_1: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class UpdatedTable:
    def __init__(
        self,
        rule: embrow._core.UpdateRule,
        type: embrow._core.Element,
        rows: typing.SupportsInt | typing.SupportsIndex,
        dim: typing.SupportsInt | typing.SupportsIndex,
        step: typing.SupportsInt | typing.SupportsIndex,
        row_steps: typing.SupportsInt | typing.SupportsIndex,
        trained: typing.SupportsInt | typing.SupportsIndex,
        clock: typing.SupportsInt | typing.SupportsIndex,
        clock_steps: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def catch_up(
        self,
        ids: typing.SupportsInt | typing.SupportsIndex,
        count: typing.SupportsInt | typing.SupportsIndex,
        ids_are_int64: bool,
        workspace: typing.SupportsInt | typing.SupportsIndex,
        fault: typing.SupportsInt | typing.SupportsIndex,
        stream: typing.SupportsInt | typing.SupportsIndex,
    ) -> bool: ...
    def catch_up_rows(self, stream: typing.SupportsInt | typing.SupportsIndex) -> bool: ...
    def place(
        self,
        table: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
        first: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
        second: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
        greatest: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    ) -> None: ...
    def round_stochastically(
        self, seed: typing.SupportsInt | typing.SupportsIndex, step: typing.SupportsInt | typing.SupportsIndex
    ) -> None: ...
    def step(
        self,
        ids: typing.SupportsInt | typing.SupportsIndex,
        count: typing.SupportsInt | typing.SupportsIndex,
        grads: typing.SupportsInt | typing.SupportsIndex,
        grad_stride_bytes: typing.SupportsInt | typing.SupportsIndex,
        scale: typing.SupportsFloat | typing.SupportsIndex,
        size: typing.SupportsFloat | typing.SupportsIndex,
        direct: typing.SupportsFloat | typing.SupportsIndex,
        eps: typing.SupportsFloat | typing.SupportsIndex,
        beta1: typing.SupportsFloat | typing.SupportsIndex,
        beta2: typing.SupportsFloat | typing.SupportsIndex,
        gain: typing.SupportsFloat | typing.SupportsIndex,
        decay: typing.SupportsFloat | typing.SupportsIndex,
        shrink: typing.SupportsFloat | typing.SupportsIndex,
        workspace: typing.SupportsInt | typing.SupportsIndex,
        fault: typing.SupportsInt | typing.SupportsIndex,
        stream: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def workspace_bytes(self, count: typing.SupportsInt | typing.SupportsIndex) -> int: ...
    @property
    def remembered(self) -> int: ...

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
def bad_offset_message(
    position: typing.SupportsInt | typing.SupportsIndex,
    value: typing.SupportsInt | typing.SupportsIndex,
    ids: typing.SupportsInt | typing.SupportsIndex,
) -> str: ...
def check_ragged(
    values: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    values_are_int64: bool,
    offsets: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    to_int32: bool,
    facts: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def clock_bytes(steps: typing.SupportsInt | typing.SupportsIndex) -> int: ...
def count_tokens(
    text: typing.SupportsInt | typing.SupportsIndex,
    text_bytes: typing.SupportsInt | typing.SupportsIndex,
    offsets: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    bos_id: typing.SupportsInt | typing.SupportsIndex,
    eos_id: typing.SupportsInt | typing.SupportsIndex,
    max_length: typing.SupportsInt | typing.SupportsIndex,
    truncate_left: bool,
    lengths: typing.SupportsInt | typing.SupportsIndex,
    facts: typing.SupportsInt | typing.SupportsIndex,
    workspace: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def devices() -> list[str]: ...
def encode_padded(
    table: DeviceTable,
    text: typing.SupportsInt | typing.SupportsIndex,
    text_bytes: typing.SupportsInt | typing.SupportsIndex,
    offsets: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    bos_id: typing.SupportsInt | typing.SupportsIndex,
    eos_id: typing.SupportsInt | typing.SupportsIndex,
    max_length: typing.SupportsInt | typing.SupportsIndex,
    truncate_left: bool,
    unk_id: typing.SupportsInt | typing.SupportsIndex,
    width: typing.SupportsInt | typing.SupportsIndex,
    pad_id: typing.SupportsInt | typing.SupportsIndex,
    pad_left: bool,
    wide: bool,
    lengths: typing.SupportsInt | typing.SupportsIndex,
    facts: typing.SupportsInt | typing.SupportsIndex,
    out: typing.SupportsInt | typing.SupportsIndex,
    workspace: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def encode_workspace_bytes(
    text_bytes: typing.SupportsInt | typing.SupportsIndex, rows: typing.SupportsInt | typing.SupportsIndex
) -> int: ...
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
def pad_ragged(
    values: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    values_are_int64: bool,
    offsets: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    width: typing.SupportsInt | typing.SupportsIndex,
    value: typing.SupportsInt | typing.SupportsIndex,
    pad_left: bool,
    kept: typing.SupportsInt | typing.SupportsIndex,
    truncate_left: bool,
    wide: bool,
    out: typing.SupportsInt | typing.SupportsIndex,
    lengths: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def pool_bags(
    mode: embrow._core.Pooling,
    type: embrow._core.Element,
    table: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    stride_bytes: typing.SupportsInt | typing.SupportsIndex,
    dim: typing.SupportsInt | typing.SupportsIndex,
    ids: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    ids_are_int64: bool,
    offsets: typing.SupportsInt | typing.SupportsIndex,
    offset_count: typing.SupportsInt | typing.SupportsIndex,
    offsets_are_int64: bool,
    bags: typing.SupportsInt | typing.SupportsIndex,
    width: typing.SupportsInt | typing.SupportsIndex,
    weights: typing.SupportsInt | typing.SupportsIndex,
    padding_idx: typing.SupportsInt | typing.SupportsIndex,
    out: typing.SupportsInt | typing.SupportsIndex,
    winners: typing.SupportsInt | typing.SupportsIndex,
    workspace: typing.SupportsInt | typing.SupportsIndex,
    faults: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def pool_workspace_bytes(
    mode: embrow._core.Pooling,
    type: embrow._core.Element,
    dim: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    longest: typing.SupportsInt | typing.SupportsIndex,
) -> int: ...
def runtime_version() -> str: ...
def scatter_bags(
    ids: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    ids_are_int64: bool,
    offsets: typing.SupportsInt | typing.SupportsIndex,
    offsets_are_int64: bool,
    bags: typing.SupportsInt | typing.SupportsIndex,
    width: typing.SupportsInt | typing.SupportsIndex,
    mode: embrow._core.Pooling,
    weights: typing.SupportsInt | typing.SupportsIndex,
    grads: typing.SupportsInt | typing.SupportsIndex,
    grad_stride_bytes: typing.SupportsInt | typing.SupportsIndex,
    out: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    dim: typing.SupportsInt | typing.SupportsIndex,
    type: embrow._core.Element,
    padding_idx: typing.SupportsInt | typing.SupportsIndex,
    mean: bool,
    atomic: bool,
    workspace: typing.SupportsInt | typing.SupportsIndex,
    fault: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def scatter_bags_bytes(
    count: typing.SupportsInt | typing.SupportsIndex,
    bags: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    dim: typing.SupportsInt | typing.SupportsIndex,
    type: embrow._core.Element,
    atomic: bool,
) -> int: ...
def scatter_rows(
    ids: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    ids_are_int64: bool,
    grads: typing.SupportsInt | typing.SupportsIndex,
    grad_stride_bytes: typing.SupportsInt | typing.SupportsIndex,
    out: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    dim: typing.SupportsInt | typing.SupportsIndex,
    type: embrow._core.Element,
    padding_idx: typing.SupportsInt | typing.SupportsIndex,
    mean: bool,
    atomic: bool,
    workspace: typing.SupportsInt | typing.SupportsIndex,
    fault: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def scatter_rows_bytes(
    count: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    dim: typing.SupportsInt | typing.SupportsIndex,
    type: embrow._core.Element,
    atomic: bool,
) -> int: ...

encode_facts_bytes: int = 16
ragged_facts_bytes: int = 24
