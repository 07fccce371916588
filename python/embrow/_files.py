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
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

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
    """Open a file of text to read as UTF-8, or standard input for "-".

    .gz and .zst are told by their first bytes and decompressed. UTF-8 itself is passed on unchecked.

    Raises
    ------
    ValueError
        The compressed data is damaged or cut short.
    """
    with contextlib.ExitStack() as stack:
        file = _standard_input() if path == "-" else stack.enter_context(open(path, "rb"))
        magic = file.peek(4)[:4]
        try:
            if magic[:2] == b"\x1f\x8b":
                plain = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=file, mode="rb")))
            elif magic == b"\x28\xb5\x2f\xfd":
                plain = stack.enter_context(_zstd_reader(file, name_of(path)))
            else:
                plain = file
            utf8 = errors == "strict" and codecs.lookup(encoding).name == "utf-8"
            yield plain if utf8 else Recoded(plain, encoding, errors)
        except LookupError as error:
            raise ValueError(f"{name_of(path)}: {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{name_of(path)}: {error}; give its encoding, or errors other than strict") from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{name_of(path)}: damaged gzip file: {error}") from error


def _standard_input() -> io.BufferedReader:
    file = sys.stdin.buffer
    # What stands in for standard input, as io.BytesIO, may have no look-ahead of its own.
    return file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, file))


def _zstd_reader(file: BinaryIO, name: str) -> IO[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise ImportError(f"{name} is compressed with zstd; pip install zstandard") from error
    return cast(IO[bytes], zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))


class Recoded:
    """Reads text of any encoding as UTF-8."""

    def __init__(self, file: IO[bytes], encoding: str, errors: str) -> None:
        self._text = io.TextIOWrapper(cast(BinaryIO, file), encoding, errors, newline="")

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` characters, or all; b"" at the end."""
        return self._text.read(size).encode("utf-8", "surrogatepass")


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
