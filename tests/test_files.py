"""Bodies from disk and streams, and results that go to disk whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import contextlib
import os
from pathlib import Path
import resource
from typing import Any

import pytest

from asynctasks.exceptions import AttemptTimeout, InvalidArgument, InvalidState
from asynctasks.files import (
    PIECE,
    FileBody,
    StreamBody,
    as_body,
    as_parts,
    save,
)
from asynctasks.sansio.http import BodySource, Part, body_length


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(source: BodySource) -> bytes:
    return b"".join([piece async for piece in source.open()])


# --- files that are sent -----------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
async def test_a_file_is_read_whole(tmp_path: Path, size: int) -> None:
    """A file comes piece by piece, from its start each time, and has a length."""
    path = tmp_path / "input.bin"
    path.write_bytes(os.urandom(size))
    body = FileBody(path)

    assert (size, True) == (body.length, body.replayable)
    assert [path.read_bytes()] * 2 == [await read(body), await read(body)]


@pytest.mark.parametrize("name", ["missing.bin", "", "file/below", "a\0b"])
def test_unreadable_files(tmp_path: Path, name: str) -> None:
    """A file that cannot be read is refused when it is named, with the reason."""
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(InvalidArgument, match="cannot be read: "):
        FileBody(tmp_path / name)


async def test_a_file_that_goes_away(tmp_path: Path) -> None:
    """A file that was deleted since is told as such."""
    path = tmp_path / "input.bin"
    path.write_bytes(b"x")
    body = FileBody(path)
    path.unlink()
    with pytest.raises(InvalidArgument, match="No such file"):
        await read(body)


async def test_a_file_that_shrinks(tmp_path: Path) -> None:
    """A file that is shorter than its length was is not sent as if it were whole."""
    path = tmp_path / "input.bin"
    path.write_bytes(b"0123456789")
    body = FileBody(path)
    path.write_bytes(b"01234")
    with pytest.raises(InvalidArgument, match="became shorter while it was sent"):
        await read(body)


async def test_a_file_that_grows(tmp_path: Path) -> None:
    """Of a file that grew, what was there when it was named is sent."""
    path = tmp_path / "input.bin"
    path.write_bytes(b"0123456789")
    body = FileBody(path)
    path.write_bytes(b"0123456789more")

    assert b"0123456789" == await read(body)


# --- streams -----------------------------------------------------------------


async def test_a_stream_is_sent_once() -> None:
    """A stream has no length and no second time."""
    body = StreamBody(pieces(b"a", b"b"))

    assert (None, False, b"ab") == (body.length, body.replayable, await read(body))
    with pytest.raises(InvalidState, match="sent only once"):
        await read(body)


@pytest.mark.parametrize("piece", ["text", None, 7])
async def test_a_stream_of_something_else(piece: Any) -> None:
    """Pieces that are no bytes are refused by their type, not sent in part."""
    with pytest.raises(InvalidArgument, match="must give bytes"):
        await read(StreamBody(pieces(piece)))


# --- what users give ---------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected", "kind"),
    [
        ("größe", "größe".encode(), "text/plain; charset=utf-8"),
        ("", b"", "text/plain; charset=utf-8"),
        (b"a", b"a", "application/octet-stream"),
        (bytearray(b"a"), b"a", "application/octet-stream"),
        (memoryview(b"a"), b"a", "application/octet-stream"),
    ],
    ids=["text", "empty", "bytes", "bytearray", "memoryview"],
)
def test_content(content: Any, expected: bytes, kind: str) -> None:
    """Text and bytes are bodies as they are, with a type that fits."""
    assert (expected, kind) == as_body(content)


async def test_streamed_content(tmp_path: Path) -> None:
    """Paths and async iterables are bodies that are streamed."""
    path = tmp_path / "input.bin"
    path.write_bytes(b"file")
    file, kind = as_body(path)
    stream, same = as_body(pieces(b"stream"))
    assert isinstance(file, FileBody)
    assert isinstance(stream, StreamBody)

    assert (b"file", b"stream") == (await read(file), await read(stream))
    assert "application/octet-stream" == kind == same


@pytest.mark.parametrize("content", [None, 7, ["a"], {"a": 1}, iter([b"a"])])
def test_content_of_other_types(content: Any) -> None:
    """Anything else is refused by its type."""
    with pytest.raises(InvalidArgument, match="give text, bytes, a path"):
        as_body(content)


def test_text_that_is_no_unicode() -> None:
    """Text with a lone surrogate is refused."""
    with pytest.raises(InvalidArgument, match="must be valid Unicode"):
        as_body("\ud800")


def test_parts(tmp_path: Path) -> None:
    """A part's name and type are given, or follow from what it is."""
    path = tmp_path / "input.xlsx"
    path.write_bytes(b"PK")
    parts = as_parts(
        {
            "a": "text",
            "b": path,
            "c": ("named.csv", b"1,2"),
            "d": ("named.json", b"{}", "application/json"),
            "e": ("other.xlsx", path, "application/vnd.ms-excel"),
        }
    )

    excel = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert [
        ("a", "a", "text/plain; charset=utf-8", 4),
        ("b", "input.xlsx", excel, 2),
        ("c", "named.csv", "text/csv", 3),
        ("d", "named.json", "application/json", 2),
        ("e", "other.xlsx", "application/vnd.ms-excel", 2),
    ] == [
        (part.name, part.filename, part.content_type, body_length(part.content))
        for part in parts
    ]
    assert Part("c", b"1,2", "named.csv", "text/csv") == parts[2]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (7, r"files\['x'\]"),
        (("name",), r"\(file name, content\)"),
        ((), r"\(file name, content\)"),
        (("name", b"x", "a/b", "more"), r"\(file name, content\)"),
        (("name", None), r"files\['x'\]"),
        (("name", b"x", "a/b\r\nX: y"), "content_type"),
        (("name", b"x", None), "content_type"),
        ((7, b"x"), r"files\['x'\]=7: the name of a file must be text"),
    ],
)
def test_unusable_parts(given: Any, expected: str) -> None:
    """A part that is none of the kinds is refused by its field."""
    with pytest.raises(InvalidArgument, match=expected):
        as_parts({"x": given})


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({5: b"x"}, r"^files=5: the name of a field must be text"),
        ([("x", b"x")], r"^files=\[.*: give contents by field name"),
        (Path("rows.csv"), r"^files=.*rows.csv.*: give contents by field name"),
    ],
    ids=["number", "pairs", "path"],
)
def test_forms_that_are_none(files: Any, expected: str) -> None:
    """Files come with the names of their fields."""
    with pytest.raises(InvalidArgument, match=expected):
        as_parts(files)


# --- files that are written --------------------------------------------------


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def left(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("replace", [True, False])
async def test_save(tmp_path: Path, replace: bool) -> None:
    """A stream becomes a file, and nothing else is left."""
    target = tmp_path / "result.bin"
    found = await save(pieces(b"a", b"", b"b" * PIECE), target, replace=replace)

    assert target == found
    assert {"result.bin": b"a" + b"b" * PIECE} == left(tmp_path)


async def test_save_of_nothing(tmp_path: Path) -> None:
    """An empty stream is an empty file."""
    await save(pieces(), tmp_path / "result.bin")

    assert {"result.bin": b""} == left(tmp_path)


async def test_save_replaces(tmp_path: Path) -> None:
    """A file that is there is replaced once the new one is whole."""
    target = tmp_path / "result.bin"
    target.write_bytes(b"old")

    async def stream() -> AsyncIterator[bytes]:
        yield b"new"
        assert b"old" == target.read_bytes()

    await save(stream(), target)

    assert {"result.bin": b"new"} == left(tmp_path)


async def test_save_does_not_replace(tmp_path: Path) -> None:
    """A file that must not be replaced is left as it is."""
    target = tmp_path / "result.bin"
    target.write_bytes(b"old")
    with pytest.raises(InvalidArgument, match="cannot be written: File exists"):
        await save(pieces(b"new"), target, replace=False)

    assert {"result.bin": b"old"} == left(tmp_path)


@pytest.mark.parametrize(
    "error", [AttemptTimeout("idle"), KeyError("mine"), OSError(5, "mine")], ids=repr
)
async def test_streams_that_fail(tmp_path: Path, error: Exception) -> None:
    """An error of the stream comes out as it is, and no half of a file is left."""
    target = tmp_path / "result.bin"
    target.write_bytes(b"old")

    async def stream() -> AsyncIterator[bytes]:
        yield b"new"
        raise error

    with pytest.raises(type(error)) as caught:
        await save(stream(), target)

    assert error is caught.value
    assert {"result.bin": b"old"} == left(tmp_path)


@pytest.mark.parametrize("name", ["a\0b", "..", "/"])
async def test_places_that_are_no_files(tmp_path: Path, name: str) -> None:
    """A path that cannot be one of a file is refused with the reason."""
    with pytest.raises(InvalidArgument, match="cannot be written: "):
        await save(pieces(b"new"), tmp_path / name)


async def test_names_as_long_as_names_can_be(tmp_path: Path) -> None:
    """The temporary name is no longer than the file's own."""
    await save(pieces(b"new"), tmp_path / ("ä" * 127))

    assert ["ä" * 127] == names(tmp_path)


@pytest.mark.parametrize("name", ["missing/result.bin", "file/result.bin", "folder"])
async def test_places_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    """A place where no file can be is refused with the reason; nothing is left."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidArgument, match="cannot be written: ") as caught:
        await save(pieces(b"new"), tmp_path / name)

    assert isinstance(caught.value.__cause__, OSError)
    assert ["file", "folder"] == names(tmp_path)


async def test_a_full_disk(tmp_path: Path) -> None:
    """A disk that takes no more is told with its reason, and nothing is left."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PIECE, most))
    try:
        with pytest.raises(InvalidArgument, match="cannot be written: File too large"):
            await save(pieces(b"x" * PIECE, b"x" * PIECE), tmp_path / "result.bin")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    assert {} == left(tmp_path)


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_saves(tmp_path: Path, turns: int) -> None:
    """Whenever a save is cancelled, the file is there whole or not at all."""

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1000
            await asyncio.sleep(0.0005)

    saving = asyncio.ensure_future(save(stream(), tmp_path / "result.bin"))
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    saving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await saving

    assert left(tmp_path) in ({}, {"result.bin": b"x" * 3000})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.CSV", "text/csv"),
        ("b.json", "application/json"),
        ("c.parquet", "application/octet-stream"),
        ("d", "application/octet-stream"),
    ],
)
def test_file_is_what_its_ending_says(tmp_path: Path, name: str, kind: str) -> None:
    """A path says what it is; an unknown ending says nothing."""
    path = tmp_path / name
    path.write_bytes(b"x")

    assert kind == as_body(path)[1]
