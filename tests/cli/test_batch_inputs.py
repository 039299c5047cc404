"""Inputs of batches: JSON lines, CSV, Parquet, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import sys
from typing import Any

import pytest

from asynctasks.cli.batch_inputs import CHUNK, count_rows, read_rows, stream
from asynctasks.exceptions import InvalidArgument


def write(folder: Path, name: str, content: str | bytes) -> str:
    """Write a file of inputs; return its path."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_jsonl(tmp_path: Path) -> None:
    """Every line is a value; blank lines and the mark of Windows are none."""
    path = write(tmp_path, "in.jsonl", b'\xef\xbb\xbf{"a": 1}\r\n\n [2]\n"\xc3\xbc"')

    assert [{"a": 1}, [2], "ü"] == list(read_rows(path))
    assert 3 == count_rows(path)


def test_csv(tmp_path: Path) -> None:
    """Numbers, true and nothing are what they are; all else is text, as it stands."""
    text = '\ufeffname,n,on,id\r\n"a, ""b""\nc",1.5e2,true,007\r\n\r\nx,,NaN,-0\n'
    rows = list(read_rows(write(tmp_path, "in.csv", text)))

    assert [
        {"name": 'a, "b"\nc', "n": 150.0, "on": True, "id": "007"},
        {"name": "x", "n": None, "on": "NaN", "id": 0},
    ] == rows


def test_parquet(tmp_path: Path) -> None:
    """Rows come with the types that the file has."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rows = [{"n": n, "word": str(n)} for n in range(CHUNK + 10)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")

    assert rows == list(read_rows(str(tmp_path / "in.parquet")))


def test_parquet_without_its_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = write(tmp_path, "in.parquet", "")

    with pytest.raises(InvalidArgument, match="pip install pyarrow"):
        list(read_rows(path))


def test_broken_parquet(tmp_path: Path) -> None:
    """A file that is no Parquet is said to be none."""
    pytest.importorskip("pyarrow")
    path = write(tmp_path, "in.parquet", "not parquet")

    with pytest.raises(InvalidArgument, match="cannot be read"):
        list(read_rows(path))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("in.jsonl", '{"a": 1}\n{"a": NaN}\n', r"line 2.*is not JSON"),
        ("in.jsonl", '{"a": 1}\n{"a": \n', r"line 2.*is not JSON"),
        ("in.jsonl", b"\xff\n", r"line 1.*is not JSON"),
        ("in.csv", "a,b\n1,2\n3\n", r"line 3.*has 1 cells, the header 2"),
        ("in.csv", "a,a\n1,2\n", "two columns have the same name"),
        ("in.csv", 'a\n"x"y\n', "cannot be read"),
        ("in.csv", b"a\n\xff\n", "cannot be read"),
        ("in.txt", "a", r"must end in \.jsonl"),
        ("folder/in.jsonl", None, "cannot be read: No such file"),
    ],
)
def test_bad_inputs_are_found(
    tmp_path: Path, name: str, content: str | bytes | None, words: str
) -> None:
    """The error names the file and the line."""
    path = str(tmp_path / name)
    if content is not None:
        write(tmp_path, name, content)

    with pytest.raises(InvalidArgument, match=words):
        count_rows(path)


async def test_rows_are_read_as_they_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of stdin too, only a chunk is taken at a time."""

    class Endless:
        taken = 0

        def __iter__(self) -> Iterator[bytes]:
            while True:
                self.taken += 1
                yield b'{"n": 1}\n'

    lines: Any = Endless()
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": lines}))
    rows = stream("-")

    assert {"n": 1} == await anext(rows)
    assert lines.taken <= CHUNK + 1

    await rows.aclose()
