"""A file, plain or compressed -> its bytes in order.

A compressed file is told by its first bytes and decompressed in blocks by a thread of its own, some blocks ahead of
what uses them, in bounded memory.
"""

from __future__ import annotations

import errno
import io
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

from embrow._prefetch import Ahead

# Of 32 KiB to 4 MiB, blocks of this size, these many ahead, inflated binary vectors fastest. zlib's room for what it
# writes doubles and is copied each time: so many packed bytes of vectors, which hardly shrink, need less than 1 MiB.
_PACKED_BYTES = 896 << 10
_BLOCK_BYTES = 2 << 20
_BLOCKS_AHEAD = 8
# What is shown of a block behind the rest of the one before it, at first.
_SEAM_BYTES = 64 << 10
# Of xz's dictionary: the largest preset, -9, takes 65 MiB. libzstd's own limit is 128 MiB.
_XZ_MEMORY_BYTES = 256 << 20
_MAGIC_BYTES = 10
_ENDLESS = 2**62


class _Stream(Protocol):
    """One compressed stream, fed in pieces: what the decompressors of bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Inflater:
    """The same for a decompressobj of zlib or zlib-ng."""

    def __init__(self, inflate: Any) -> None:
        self._inflate = inflate
        self._held = b""

    @property
    def eof(self) -> bool:
        return bool(self._inflate.eof)

    @property
    def needs_input(self) -> bool:
        return not self._held

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inflate.unused_data)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        block: bytes = self._inflate.decompress(data or self._held, max_length)
        self._held = self._inflate.unconsumed_tail
        return block


class _Opener(NamedTuple):
    """How to start a stream, and what a damaged one raises."""

    start: Callable[[], _Stream]
    fault: type[Exception]


class _Codec(NamedTuple):
    name: str
    # What its streams start with: one of these.
    magic: tuple[bytes, ...]
    # The most bytes that one byte of the file can become.
    expansion: int
    opener: Callable[[], _Opener]


def _gzip() -> _Opener:
    """zlib-ng inflates binary vectors at 1.2 to 1.4 times zlib's rate, and ISA-L no faster."""
    try:
        from zlib_ng import zlib_ng as inflater
    except ImportError:
        return _Opener(lambda: _Inflater(zlib.decompressobj(31)), zlib.error)
    return _Opener(lambda: _Inflater(inflater.decompressobj(31)), cast(type[Exception], inflater.error))


def _bz2() -> _Opener:
    try:
        import bz2
    except ModuleNotFoundError as error:
        raise ImportError("the file is compressed with bzip2, and this Python was built without bz2") from error
    return _Opener(bz2.BZ2Decompressor, OSError)


def _xz() -> _Opener:
    try:
        import lzma
    except ModuleNotFoundError as error:
        raise ImportError("the file is compressed with xz, and this Python was built without lzma") from error
    return _Opener(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES), lzma.LZMAError)


def _zstd() -> _Opener:
    try:
        from compression import zstd  # since Python 3.14
    except ImportError:
        try:
            from backports import zstd
        except ImportError as error:
            raise ImportError("the file is compressed with zstd: pip install backports.zstd") from error
    return _Opener(zstd.ZstdDecompressor, zstd.ZstdError)


# RFC 1952, RFC 8878 with its skippable frames, and the formats' own documents. Deflate codes at most 258 bytes in 2
# bits; a block of bz2 at most 46 MB in 40 bytes; LZMA 273 bytes in a few hundredths of a bit each; zstd 128 KiB in 4.
_CODECS = (
    _Codec("gzip", (b"\x1f\x8b\x08",), 1032, _gzip),
    _Codec(
        "bz2",
        tuple(b"BZh%d%b" % (level, tail) for level in range(1, 10) for tail in (b"1AY&SY", b"\x17rE8P\x90")),
        1 << 21,
        _bz2,
    ),
    _Codec("xz", (b"\xfd7zXZ\x00",), 1 << 15, _xz),
    _Codec("zst", (b"\x28\xb5\x2f\xfd", *(b"%c\x2a\x4d\x18" % kind for kind in range(0x50, 0x60))), 1 << 16, _zstd),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# What zipfile raises for damage; RuntimeError for what it cannot read, too: encrypted, or compressed in another way.
_ZIP_FAULTS: tuple[type[Exception], ...] = (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, ValueError)
with suppress(ModuleNotFoundError):  # Python may have been built without
    from lzma import LZMAError

    _ZIP_FAULTS += (LZMAError,)
_MAX_EXPANSION = max(codec.expansion for codec in _CODECS)

# Bytes, and how much of the file had been read when they were known.
_Block = tuple[bytes, int]
_Blocks = Generator[_Block, None, None]


def is_cut_short(data: bytes) -> bool:
    """Whether `data`, if all of a file, are the first of the bytes that tell a compressed one."""
    return _is_cut(data, tuple(magic for codec in _CODECS for magic in codec.magic) + _ZIP)


def _is_cut(data: bytes, magics: tuple[bytes, ...]) -> bool:
    return any(len(data) < len(magic) and magic.startswith(data) for magic in magics)


def _ended(byte: int) -> EOFError:
    return EOFError(f"the compressed data end at byte {byte} of the file, before their end mark")


def _unpack(file: BinaryIO, codec: _Codec) -> _Blocks:
    """Yield the bytes of streams one after another; their checksums are verified."""
    start, fault = codec.opener()
    done = 0
    packed = b""
    stream: _Stream | None = None
    while True:
        if not packed and (stream is None or stream.eof or stream.needs_input):
            packed = file.read(_PACKED_BYTES)
            done += len(packed)
            if not packed:
                if stream is None or stream.eof:
                    return
                raise _ended(done)
        if stream is None or stream.eof:
            # Writers may pad the file with zeros.
            packed = packed.lstrip(b"\0")
            if not packed:
                continue
            while len(packed) < _MAGIC_BYTES and (more := file.read(_PACKED_BYTES)):
                packed += more
                done += len(more)
            if _is_cut(packed, codec.magic):
                raise _ended(done)
            if not packed.startswith(codec.magic):
                raise ValueError(f"other bytes follow the {codec.name} data near byte {done} of the file")
            stream = start()
        try:
            block = stream.decompress(packed, _BLOCK_BYTES)
        except (fault, EOFError) as error:
            raise ValueError(f"the {codec.name} data are damaged near byte {done} of the file ({error})") from None
        packed = stream.unused_data if stream.eof else b""
        if block:
            yield block, done


def _unzip(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: BinaryIO) -> _Blocks:
    """Yield the bytes of a member; its checksum is verified."""
    try:
        with archive.open(member) as unpacked:
            while block := unpacked.read(_BLOCK_BYTES):
                yield block, file.tell()
            if unpacked.tell() < member.file_size:
                raise EOFError
    except EOFError:
        raise EOFError(f"the zip data end near byte {file.tell()} of the file, before their end mark") from None
    except _ZIP_FAULTS as error:
        if _is_of_the_system(error):
            raise
        raise ValueError(
            f"the zip data are damaged or unreadable near byte {file.tell()} of the file ({error})"
        ) from None


def _is_of_the_system(error: Exception) -> bool:
    """Whether the file could not be read, and not what it holds: damaged sizes make zipfile seek before its start."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


class Source:
    """The bytes of a file after decompression, read once from front to back.

    `total` is the size of the file on disk, 0 for a pipe, and `done` how much of it has been read.
    """

    compression: str | None = None
    # The most bytes that one byte of the file can become.
    expansion = 1

    def __init__(self, file: BinaryIO, total: int) -> None:
        self.file = file
        # What `file` reads from, if it is closed apart.
        self.beneath: BinaryIO | None = None
        self.total = total
        self.done = 0
        self._buffer = bytearray()

    @property
    def most_bytes(self) -> int:
        """How many bytes there can be."""
        return self.total * self.expansion if self.total else _ENDLESS

    @property
    def descriptor(self) -> int | None:
        """For reading the bytes anywhere; None where they come in order only, decompressed or from a pipe."""
        return self.file.fileno() if self.compression is None and self.total else None

    def pass_over(self, size: int) -> int:
        """Pass over bytes without reading them; return how many, 0 where they come in order only."""
        if self.descriptor is None:
            return 0
        passed = max(0, min(size, self.total - self.done))
        self.file.seek(passed, os.SEEK_CUR)
        self.done += passed
        return passed

    def more(self, left: memoryview, size: int) -> tuple[memoryview, bool]:
        """Return `left` with the bytes that follow it, about `size` in all, and whether the source ends with them.

        `left` is the end of what the call before returned, which must not be used any more. At least one byte is added
        before the end.

        Raises
        ------
        EOFError, ValueError
            The compressed data are cut short, or damaged.
        """
        kept = len(left)
        if len(self._buffer) < max(size, 2 * kept):
            self._buffer = bytearray(max(size, 2 * kept))
        window = memoryview(self._buffer)
        window[:kept] = left
        end, got = kept, 1
        while end < len(window) and got:
            got = self.file.readinto(window[end:])  # type: ignore[attr-defined]
            end += got
        self.done += end - kept
        return window[:end], not got

    def stop(self) -> None:
        """Stop reading ahead; leave the file open."""

    def close(self) -> None:
        self.stop()
        self.file.close()
        if self.beneath is not None:
            self.beneath.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Unpacked(Source):
    """Blocks in a row, shown where they were unpacked."""

    def __init__(
        self, file: BinaryIO, total: int, blocks: _Blocks, compression: str, expansion: int, *, ahead: bool
    ) -> None:
        super().__init__(file, total)
        self.compression = compression
        self.expansion = expansion
        self._blocks: Ahead[_Block] | _Blocks = Ahead(blocks, _BLOCKS_AHEAD, "embrow-decompress") if ahead else blocks
        self._block = memoryview(b"")
        # How much of the block was returned, as the last bytes if not alone.
        self._shown = 0
        self._fault: EOFError | ValueError | None = None

    def more(self, left: memoryview, size: int) -> tuple[memoryview, bool]:
        if self._shown == len(self._block):
            # A file of many members has small blocks; and what is left may be long.
            block = self._next_block(max(1, size // 2, len(left)))
            if not block:
                return left, True
            self._block, self._shown = memoryview(block), 0
        begin = self._shown - len(left)
        if begin >= 0:
            self._shown = len(self._block)
            return self._block[begin:], False
        # Only what is used together with the end of the block before is copied.
        begin = self._shown
        self._shown = min(begin + max(_SEAM_BYTES, len(left)), len(self._block))
        return memoryview(b"".join((left, self._block[begin : self._shown]))), False

    def _next_block(self, least: int) -> bytes:
        """Return the next bytes, fewer than `least` before a fault, which the next call raises, and at the end only."""
        parts: list[bytes] = []
        got = 0
        while got < least and self._fault is None:
            try:
                block, self.done = next(self._blocks, (b"", self.total))
            except (EOFError, ValueError) as fault:
                self._fault = fault
                break
            if not block:
                break
            parts.append(block)
            got += len(block)
        if self._fault is not None and not parts:
            raise self._fault
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def stop(self) -> None:
        self._blocks.close()


class _Rejoined(io.RawIOBase):
    """Bytes that were read from a file, and the rest of it, which it leaves open."""

    def __init__(self, read: bytes, file: io.BufferedReader) -> None:
        self._read, self._file = read, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._read:
            return self._file.readinto1(buffer)
        size = min(len(buffer), len(self._read))
        buffer[:size] = self._read[:size]
        self._read = self._read[size:]
        return size


def source_of(file: io.BufferedReader) -> Source:
    """Return what reads `file`, decompressing what its first bytes say is compressed; closes it at the end.

    Raises
    ------
    ValueError
        A zip archive of other than one member.
    """
    status = os.fstat(file.fileno()) if _has_descriptor(file) else None
    regular = status is not None and stat.S_ISREG(status.st_mode)
    total = status.st_size if status is not None and regular else 0
    magic = file.peek(_MAGIC_BYTES)[:_MAGIC_BYTES]
    if regular or len(magic) == _MAGIC_BYTES or file.seekable():
        return _source_of(file, magic, total, regular)
    # A pipe may hold less as yet than it will.
    magic = file.read(_MAGIC_BYTES)
    source = _source_of(io.BufferedReader(_Rejoined(magic, file)), magic, total, regular)
    source.beneath = file
    return source


def _source_of(file: io.BufferedReader, magic: bytes, total: int, regular: bool) -> Source:
    for codec in _CODECS:
        if magic.startswith(codec.magic):
            # A thread that waits for a terminal could not be stopped.
            return _Unpacked(file, total, _unpack(file, codec), codec.name, codec.expansion, ahead=regular)
    if magic.startswith(_ZIP):
        archive, member = _only_member(file)
        expansion = min(math.ceil(member.file_size / max(total, 1)) + 1, _MAX_EXPANSION)
        return _Unpacked(file, total, _unzip(archive, member, file), "zip", expansion, ahead=regular)
    return Source(file, total)


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open `path` for reading, decompressing what its first bytes say is compressed."""
    file = open(path, "rb")  # noqa: SIM115
    try:
        return source_of(file)
    except BaseException:
        file.close()
        raise


def _has_descriptor(file: io.BufferedReader) -> bool:
    try:
        file.fileno()
    except OSError:
        return False
    return True


def _only_member(file: io.BufferedReader) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
    if not file.seekable():
        raise ValueError("a zip archive is read from its end, which a pipe does not allow; unpack it first")
    if not zipfile.is_zipfile(file):
        raise EOFError(f"the file ends at byte {file.seek(0, 2)} without a zip archive's directory, before token 0")
    try:
        archive = zipfile.ZipFile(file)
        members = [member for member in archive.infolist() if not member.is_dir()]
    except _ZIP_FAULTS as error:
        if _is_of_the_system(error):
            raise
        raise ValueError(f"the zip archive's directory is damaged or cannot be read ({error})") from None
    if len(members) != 1:
        shown = ", ".join([*(member.filename for member in members[:5]), *(["..."] if len(members) > 5 else [])])
        raise ValueError(
            f"the zip archive has {len(members)} members, one is needed ({shown}); unpack it and name the file"
        )
    return archive, members[0]
