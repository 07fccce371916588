"""Files: written whole or not at all, read whatever they are compressed with."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import os
import secrets
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

StrPath = str | os.PathLike[str]

WINDOW_BYTES = 1 << 23


@contextlib.contextmanager
def written_atomically(path: StrPath) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its name at the end, or is removed if the block raises."""
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target}: the output must be a file, and this is a folder")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        file = open(temporary, "xb")  # noqa: SIM115
    except OSError as error:
        raise type(error)(error.errno, f"cannot be written: {error.strerror}", str(target)) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_writable(path: StrPath) -> None:
    """Raise OSError now if `path` could not be written later; leave nothing behind."""
    with contextlib.suppress(_Undone), written_atomically(path):
        raise _Undone


class _Undone(Exception):
    pass


def name_of(path: StrPath) -> str:
    """Return what errors call a file; "-" is standard input."""
    return "standard input" if path == "-" else os.fspath(path)


@contextlib.contextmanager
def opened(path: StrPath, encoding: str = "utf-8", errors: str = "strict") -> Iterator[IO[bytes] | Recoded]:
    """Open a file of text to read as UTF-8, without a byte order mark, or standard input for "-".

    .gz and .zst are told by their first bytes and decompressed. UTF-8 itself is passed on unchecked. Reading raises
    ValueError where compressed data is damaged or cut short, or text is not in its encoding.
    """
    name = name_of(path)
    try:
        is_utf8 = errors == "strict" and codecs.lookup(encoding).name == "utf-8"
    except LookupError as error:
        raise ValueError(f"{name}: {error}") from error
    with contextlib.ExitStack() as stack:
        file = _standard_input() if path == "-" else stack.enter_context(open(path, "rb"))
        magic = file.peek(4)[:4]
        if magic[:2] == b"\x1f\x8b":
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=file, mode="rb"))
            file = io.BufferedReader(_Unpacked(unpacked.read, name, "gzip", zlib.error), WINDOW_BYTES)
        elif magic == b"\x28\xb5\x2f\xfd":
            file = io.BufferedReader(_unpacked_zstd(file, name), WINDOW_BYTES)
        if not is_utf8:
            yield Recoded(file, name, encoding, errors)
            return
        if file.peek(3)[:3] == codecs.BOM_UTF8:
            file.read(3)
        yield file


class _Unpacked(io.RawIOBase):
    """Bytes of a decompressor, whose errors name the file."""

    def __init__(self, read: Callable[[int], bytes], name: str, kind: str, fault: type[Exception]) -> None:
        self._read, self._name, self._kind = read, name, kind
        self._faults = (EOFError, gzip.BadGzipFile, fault)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._read(len(buffer))
        except self._faults as error:
            raise ValueError(f"{self._name}: damaged {self._kind} file: {error}") from error
        buffer[: len(data)] = data
        return len(data)


def _unpacked_zstd(file: BinaryIO, name: str) -> _Unpacked:
    try:
        import zstandard
    except ImportError as error:
        raise ImportError(f"{name} is compressed with zstd; pip install zstandard") from error
    frames = zstandard.ZstdDecompressor()
    frame = frames.decompressobj()
    packed, data = b"", b""

    # Not the library's stream reader, which takes a file cut short for a whole one.
    def read(size: int) -> bytes:
        nonlocal frame, packed, data
        while not data:
            packed = packed or file.read(1 << 17)
            if not packed:
                if not frame.eof:
                    raise EOFError("it ends within a frame")
                return b""
            if frame.eof:
                frame = frames.decompressobj()
            data = frame.decompress(packed)
            packed = frame.unused_data if frame.eof else b""
        given, data = data[:size], data[size:]
        return given

    return _Unpacked(read, name, "zstd", zstandard.ZstdError)


def _standard_input() -> io.BufferedReader:
    file = sys.stdin.buffer
    # What stands in for standard input, as io.BytesIO, may have no look-ahead of its own.
    return file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, file))


class Recoded:
    """Reads text of any encoding as UTF-8."""

    def __init__(self, file: IO[bytes], name: str, encoding: str, errors: str) -> None:
        self._name = name
        self._text = io.TextIOWrapper(cast(BinaryIO, file), encoding, errors, newline="")

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` characters, or all; b"" at the end."""
        try:
            return self._text.read(size).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self._name}: {error}; give its encoding, or errors other than strict") from error


def lines_of(window: bytes) -> list[bytes]:
    """Return the lines of whole lines of text, without their ends."""
    lines = window.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines] if b"\r" in window else lines


def windows(file: IO[bytes] | Recoded, separators: bytes, size: int) -> Iterator[bytes]:
    """Yield a file's bytes in pieces of about `size` bytes that end after one of the separators, or with the file."""
    rest: list[bytes] = []
    while block := file.read(size):
        cut = max(block.rfind(separator) for separator in separators) + 1
        if cut:
            yield b"".join([*rest, block[:cut]])
            rest = [block[cut:]]
        else:
            rest.append(block)
    if any(rest):
        yield b"".join(rest)
