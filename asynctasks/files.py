"""
Bodies that come from disk or from a stream, and results that go to disk.

Reading and writing files blocks; it is done in a thread, a piece at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
import contextlib
import os
from pathlib import Path
import secrets
from typing import BinaryIO, Union

from .exceptions import InvalidArgument, InvalidState
from .sansio.http import BodySource, Part, check_header


__all__ = [
    "Content",
    "FileBody",
    "FileContent",
    "StreamBody",
    "as_body",
    "as_parts",
    "save",
]

PIECE = 256 * 1024
"""Bytes read from a file at a time."""

Content = Union[str, bytes, os.PathLike[str], AsyncIterable[bytes]]  # noqa: UP007
"""Text, bytes, the path of a file, or an async iterable of bytes."""

FileContent = Union[Content, tuple[str, Content], tuple[str, Content, str]]  # noqa: UP007
"""Content of a form's file; or with its file name; or also with its content type."""


class FileBody:
    """A file, opened anew and read for each attempt."""

    replayable = True

    def __init__(self, path: os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._size = self.path.stat().st_size
            with self.path.open("rb"):
                pass
        except OSError as exc:
            remedy = f"cannot be read: {exc.strerror}"
            raise InvalidArgument("content", str(path), remedy) from exc

    @property
    def length(self) -> int | None:
        """The size of the file in bytes when it was named."""
        return self._size

    async def open(self) -> AsyncIterator[bytes]:
        """Read the file from its start."""
        stream = await asyncio.to_thread(self.path.open, "rb")
        try:
            while piece := await asyncio.to_thread(stream.read, PIECE):
                yield piece
        finally:
            stream.close()


class StreamBody:
    """An async iterable, which can be sent once."""

    replayable = False
    length = None

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream: AsyncIterable[bytes] | None = stream

    async def open(self) -> AsyncIterator[bytes]:
        """Start the stream; a second time is an error."""
        stream, self._stream = self._stream, None
        if stream is None:
            raise InvalidState("a stream can be sent only once")
        async for piece in stream:
            yield piece


def as_body(content: Content, name: str = "content") -> tuple[bytes | BodySource, str]:
    """
    Make a body of what the user gave.

    Returns:
        The body, and the content type to take when none is given.

    Raises:
        InvalidArgument: it is none of the kinds of :data:`Content`, or a file that
            cannot be read.
    """
    if isinstance(content, str):
        return content.encode(), "text/plain; charset=utf-8"
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content), "application/octet-stream"
    if isinstance(content, os.PathLike):
        return FileBody(content), "application/octet-stream"
    if isinstance(content, AsyncIterable):
        return StreamBody(content), "application/octet-stream"
    remedy = "give text, bytes, a path or an async iterable of bytes"
    raise InvalidArgument(name, type(content).__name__, remedy)


def as_parts(files: Mapping[str, FileContent]) -> list[Part]:
    """
    Make the parts of a form of what the user gave.

    Args:
        files: by field name. A file's name is that of its path, else the field's.

    Raises:
        InvalidArgument: a value is not of the kinds of :data:`FileContent`.
    """
    return [_part(name, given) for name, given in files.items()]


def _part(name: str, given: FileContent) -> Part:
    filename: str | None = None
    kind: str | None = None
    if isinstance(given, tuple):
        filename, content, *rest = given
        kind = check_header("content_type", rest[0]) if rest else None
    else:
        content = given
    if filename is None:
        filename = Path(content).name if isinstance(content, os.PathLike) else name
    body, default = as_body(content, f"files[{name!r}]")
    return Part(name, body, filename, kind or default)


async def save(chunks: AsyncIterator[bytes], path: os.PathLike[str]) -> Path:
    """
    Write a stream to a file that is there whole or not at all.

    It is written beside its place under a temporary name, then renamed; an existing
    file is replaced. The folder must exist.

    Raises:
        InvalidArgument: the file cannot be written there.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        stream = await asyncio.to_thread(_create, part)
    except OSError as exc:
        remedy = f"cannot be written: {exc.strerror}"
        raise InvalidArgument("path", str(path), remedy) from exc
    try:
        async for piece in chunks:
            await asyncio.to_thread(stream.write, piece)
        await asyncio.to_thread(_finish, stream, part, target)
    except BaseException:
        stream.close()
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
        raise
    return target


def _create(part: Path) -> BinaryIO:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    return os.fdopen(os.open(part, flags, 0o666), "wb")


def _finish(stream: BinaryIO, part: Path, target: Path) -> None:
    stream.flush()
    os.fsync(stream.fileno())
    stream.close()
    part.replace(target)
