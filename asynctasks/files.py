"""
Bodies that come from disk or from a stream, and results that go to disk.

Reading and writing files blocks; it is done in a thread, a piece at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
import contextlib
import os
from pathlib import Path
import secrets
from typing import Any, BinaryIO, TypeVar, Union

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

T = TypeVar("T")

OCTETS = "application/octet-stream"

KINDS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".txt": "text/plain",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xml": "application/xml",
    ".zip": "application/zip",
}
"""
What a file is, by its ending.

A table of our own: that of the standard library is read from the machine, and would
send different requests from different machines.
"""

PIECE = 256 * 1024
"""Bytes read from a file at a time."""

Content = Union[str, bytes, os.PathLike[str], AsyncIterable[bytes]]  # noqa: UP007
"""Text, bytes, the path of a file, or an async iterable of bytes."""

FileContent = Union[Content, tuple[str, Content], tuple[str, Content, str]]  # noqa: UP007
"""Content of a form's file; or with its file name; or also with its content type."""


class FileBody:
    """
    A file, opened anew and read for each attempt.

    Args:
        path: of the file.
        name: what errors call it.

    Raises:
        InvalidArgument: it cannot be read.
    """

    replayable = True

    def __init__(self, path: os.PathLike[str], name: str = "content") -> None:
        self.path = Path(path)
        self._name = name
        try:
            self._size = self.path.stat().st_size
            with self.path.open("rb"):
                pass
        except (OSError, ValueError) as exc:
            raise self._unreadable(exc) from exc

    @property
    def length(self) -> int | None:
        """The size of the file in bytes when it was named."""
        return self._size

    async def open(self) -> AsyncIterator[bytes]:
        """
        Read the file from its start.

        Raises:
            InvalidArgument: it cannot be read any more, or has become shorter.
        """
        left = self._size
        try:
            with contextlib.ExitStack() as opened:
                stream = await _to_its_end(self._open, opened)
                while piece := await _to_its_end(stream.read, min(PIECE, left)):
                    left -= len(piece)
                    yield piece
        except OSError as exc:
            raise self._unreadable(exc) from exc
        if left:
            # The service was promised the length; it would wait for the rest.
            remedy = "became shorter while it was sent"
            raise InvalidArgument(self._name, str(self.path), remedy)

    def _unreadable(self, exc: OSError | ValueError) -> InvalidArgument:
        remedy = f"cannot be read: {_words(exc)}"
        return InvalidArgument(self._name, str(self.path), remedy)

    def _open(self, opened: contextlib.ExitStack) -> BinaryIO:
        # Entered here, in the thread: whoever is cancelled meanwhile never gets it.
        return opened.enter_context(self.path.open("rb"))


def _words(exc: OSError | ValueError) -> str:
    """Say what is wrong with a file; a ValueError means that its path is no path."""
    return getattr(exc, "strerror", None) or str(exc)


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
            if not isinstance(piece, bytes | bytearray | memoryview):
                remedy = "the iterable must give bytes"
                raise InvalidArgument("content", type(piece).__name__, remedy)
            yield bytes(piece)


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
        return _encoded(content, name), "text/plain; charset=utf-8"
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content), OCTETS
    if isinstance(content, os.PathLike):
        return FileBody(content, name), _kind(Path(content).name)
    if isinstance(content, AsyncIterable):
        return StreamBody(content), OCTETS
    remedy = "give text, bytes, a path or an async iterable of bytes"
    raise InvalidArgument(name, type(content).__name__, remedy)


def _kind(name: str) -> str:
    return KINDS.get(Path(name).suffix.lower(), OCTETS)


def _encoded(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidArgument(name, text, "must be valid Unicode text") from exc


def as_parts(files: Mapping[str, FileContent]) -> list[Part]:
    """
    Make the parts of a form of what the user gave.

    Args:
        files: by field name. A file's name is that of its path, else the field's.

    Raises:
        InvalidArgument: a name is no text, or a value not of the kinds of
            :data:`FileContent`.
    """
    if not isinstance(files, Mapping):
        remedy = "give contents by field name, such as {'data': Path('rows.csv')}"
        raise InvalidArgument("files", files, remedy)
    return [_part(name, given) for name, given in files.items()]


def _part(name: str, given: FileContent) -> Part:
    if not isinstance(name, str):
        raise InvalidArgument("files", name, "the name of a field must be text")
    where = f"files[{name!r}]"
    filename, content, kind = _taken_apart(where, given)
    if filename is None:
        filename = Path(content).name if isinstance(content, os.PathLike) else name
    body, default = as_body(content, where)
    if default == OCTETS:
        default = _kind(filename)
    return Part(name, body, filename, kind or default)


def _taken_apart(
    where: str, given: FileContent
) -> tuple[str | None, Content, str | None]:
    """Return the file's name, its content and its content type, as far as given."""
    if not isinstance(given, tuple):
        return None, given, None
    if len(given) not in {2, 3}:
        remedy = "give (file name, content) or (file name, content, content type)"
        raise InvalidArgument(where, given, remedy)
    filename, content, *kind = given
    if filename is not None and not isinstance(filename, str):
        raise InvalidArgument(where, filename, "the name of a file must be text")
    return filename, content, check_header("content_type", kind[0]) if kind else None


async def save(
    chunks: AsyncIterator[bytes], path: os.PathLike[str], *, replace: bool = True
) -> Path:
    """
    Write a stream to a file that is there whole or not at all.

    It is written beside its place under a temporary name, then renamed. The folder
    must exist.

    Args:
        chunks: the content.
        path: of the file.
        replace: an existing file; without it, one is left as it is and refused.

    Raises:
        InvalidArgument: the file cannot be written there.
    """
    target = Path(path)
    part = _Part(target, replace=replace)
    try:
        await _in_thread(part.create)
        async for piece in chunks:
            await _in_thread(part.write, piece)
        await _in_thread(part.finish)
    except _DiskError as exc:
        remedy = f"cannot be written: {exc}"
        raise InvalidArgument("path", str(path), remedy) from exc.__cause__
    finally:
        await _to_its_end(part.discard)
    return target


class _DiskError(Exception):
    """Tells the disk's errors from those of the stream, which may be OSErrors too."""


class _Part:
    """The file under its temporary name."""

    def __init__(self, target: Path, *, replace: bool) -> None:
        self._target = target
        self._replace = replace
        self._path: Path
        self._made = contextlib.ExitStack()
        self._stream: BinaryIO

    def create(self) -> None:
        """Open a file that was not there."""
        # The name is cut, because it may be as long as names can be.
        name = f".{self._target.name[:40]}.{secrets.token_hex(4)}.part"
        self._path = self._target.with_name(name)
        stream = self._path.open("xb")
        self._made.callback(self._path.unlink, missing_ok=True)
        self._stream = self._made.enter_context(stream)

    def write(self, piece: bytes) -> None:
        """Append to it; comes after ``create``."""
        self._stream.write(piece)

    def finish(self) -> None:
        """Bring it to the disk and to its place."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        if self._replace:
            self._path.replace(self._target)
        else:
            # A rename would replace; a second name for the same file does not.
            self._target.hardlink_to(self._path)

    def discard(self) -> None:
        """Remove what is not finished."""
        with contextlib.suppress(OSError):  # a full disk has been told already
            self._made.close()


async def _in_thread(work: Callable[..., None], *args: bytes) -> None:
    """Write in a thread, and tell errors of the disk from others."""
    try:
        await _to_its_end(work, *args)
    except (OSError, ValueError) as exc:
        raise _DiskError(_words(exc)) from exc


async def _to_its_end(work: Callable[..., T], *args: Any) -> T:
    """Do what blocks in a thread; when cancelled, wait for its end first."""
    doing = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise
