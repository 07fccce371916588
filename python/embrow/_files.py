"""Files: written whole or not at all, read whatever they are compressed with."""

from __future__ import annotations

import codecs
import contextlib
import errno
import functools
import io
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from embrow._compression import Source, source_of

StrPath = str | os.PathLike[str]

WINDOW_BYTES = 1 << 23


@contextlib.contextmanager
def written_atomically(path: StrPath, *, as_stream: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its name at the end, or is removed if the block raises.

    Of a link it takes the place of the file that the link leads to. It is never open to more people than the file
    before it, whose permissions it has. What is no file, as a pipe or /dev/null, is written to as it is, or refused
    where the block does not write one stream: it goes back, or writes another file beside this one.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target}: the output must be a file, and this is a folder")
    if _is_special(target):
        if not as_stream:
            raise OSError(errno.ESPIPE, "the output must be a file, for it is not written in one go", str(target))
        with _open_output(path, target, "w") as file:
            yield file
        return
    target = Path(os.path.realpath(target))
    # Names have a greatest length.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.part")
    before = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    opener = functools.partial(os.open, mode=0o666 if before is None else before)
    file = _open_output(path, temporary, "x", opener)
    try:
        with file:
            with _told(path):
                # What the umask has kept from it.
                if before is not None and stat.S_IMODE(os.fstat(file.fileno()).st_mode) != before:
                    temporary.chmod(before)
            yield file
            settle(file)
        with _told(path):
            os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _told(path: StrPath) -> Iterator[None]:
    """Say of an OSError which output it keeps from being written."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, f"cannot be written: {error.strerror}", os.fspath(path)) from error


class _Output(io.FileIO):
    """What goes by the name of the output, in errors too, while it lies at another."""

    def __init__(self, path: StrPath, *where: Any) -> None:
        with _told(path):
            super().__init__(*where)
        self.name = os.fspath(path)

    def write(self, data: Any) -> int:
        with _told(self.name):
            return super().write(data)

    def close(self) -> None:
        with _told(self.name):
            super().close()


def _open_output(path: StrPath, at: Path, mode: str, opener: Any = None) -> BinaryIO:
    return io.BufferedWriter(_Output(path, at, mode, True, opener))


def settle(file: BinaryIO) -> None:
    """Put on the disk what was written, or raise OSError; of two files before either takes its name."""
    file.flush()
    with _told(file.name):
        os.fsync(file.fileno())


def check_writable(path: StrPath, *, as_stream: bool = True) -> None:
    """Raise OSError now if `path` could not be written later; leave nothing behind."""
    if as_stream and _is_special(Path(path)):
        # To open a pipe is to wait for who reads it.
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, f"cannot be written: {os.strerror(errno.EACCES)}", os.fspath(path))
        return
    with contextlib.suppress(_Undone), written_atomically(path, as_stream=as_stream):
        raise _Undone


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


class _Undone(Exception):
    pass


def beside(path: StrPath, own: tuple[str, ...], suffix: str) -> Path:
    """Return `path` with `suffix` in place of its own, or behind all of its name where that ends in none of `own`.

    What else follows a dot is part of the name: `out.train` and `out.test` are two files, and so are those beside them.
    """
    path = Path(path)
    return path.with_name((path.stem if path.suffix in own else path.name) + suffix)


def name_of(path: StrPath) -> str:
    """Return what errors call a file; "-" is standard input."""
    return "standard input" if path == "-" else os.fspath(path)


@contextlib.contextmanager
def opened(path: StrPath, encoding: str = "utf-8", errors: str = "strict") -> Iterator[IO[bytes] | Recoded]:
    """Open a file of text to read as UTF-8, without a byte order mark, or standard input for "-".

    Compressed files are told by their first bytes and decompressed. UTF-8 itself is passed on unchecked. Reading raises
    ValueError where compressed data is damaged or cut short, or text is not in its encoding.
    """
    name = name_of(path)
    try:
        is_utf8 = errors == "strict" and codecs.lookup(encoding).name == "utf-8"
        # Raises for a codec that is no text encoding.
        "".encode(encoding)
        codecs.lookup_error(errors)
    except (LookupError, UnicodeError) as error:
        raise ValueError(f"{name}: {error}") from error
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_standard_input()) if path == "-" else stack.enter_context(open(path, "rb"))
        with _named(name):
            source = source_of(file)
        if source.compression is not None:
            stack.callback(source.stop)
            file = io.BufferedReader(_NamedBytes(source, name), WINDOW_BYTES)
        else:
            file = cast(io.BufferedReader, source.file)
        if not is_utf8:
            yield Recoded(file, name, encoding, errors)
            return
        if file.peek(3)[:3] == codecs.BOM_UTF8:
            file.read(3)
        yield file


class _NamedBytes(io.RawIOBase):
    """The bytes of a source, whose errors name the file."""

    def __init__(self, source: Source, name: str) -> None:
        self._source, self._name = source, name
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with memoryview(buffer) as window:
            if not self._left:
                with _named(self._name):
                    self._left, _ = self._source.more(self._left, 1)  # a block as it is, joined with no other
            size = min(len(self._left), len(window))
            window[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, ValueError, ImportError) as error:
        kind = ImportError if isinstance(error, ImportError) else ValueError
        raise kind(f"{name}: {error}") from error


@contextlib.contextmanager
def _standard_input() -> Iterator[io.BufferedReader]:
    # None where the process was started without.
    if sys.stdin is None:
        raise ValueError("standard input is closed")
    file = sys.stdin.buffer
    if isinstance(file, io.BufferedReader):
        yield file
        return
    # What stands in for standard input, as io.BytesIO, may have no look-ahead of its own.
    ahead: io.BufferedReader = io.BufferedReader(cast(Any, file))
    try:
        yield ahead
    finally:
        ahead.detach()  # else its end would close what it reads


class Recoded:
    """Reads text of any encoding as UTF-8."""

    def __init__(self, file: IO[bytes], name: str, encoding: str, errors: str) -> None:
        self._file, self._name, self._encoding = file, name, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._decoded = 0
        self._begun = False

    def read(self, size: int = -1) -> bytes:
        """Return the text of the next `size` bytes or somewhat more, or of all; b"" at the end."""
        while True:
            data = self._file.read(size)
            text = self._decode(data)
            if text and not self._begun:
                self._begun = True
                # Not every codec takes a byte order mark for one.
                text = text.removeprefix("\ufeff")
            if text or not data:
                return text.encode("utf-8", "surrogatepass")

    def _decode(self, data: bytes) -> str:
        self._decoded += len(data)
        try:
            return self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            # What the decoder was at ends with the data, and begins with what it had kept of those before.
            at, byte = self._decoded - len(error.object) + error.start, error.object[error.start]
            raise ValueError(
                f"{self._name}: byte {at} ({byte:#04x}) is not {self._encoding}; give its encoding, or errors other "
                "than strict"
            ) from error
        except UnicodeError as error:
            raise ValueError(f"{self._name}: {error}; give its encoding") from error


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
