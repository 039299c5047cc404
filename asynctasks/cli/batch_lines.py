"""The results of a batch: a line of JSON for each item, whole or not at all."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
import json
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import attrs

from ..exceptions import InvalidArgument
from ..sansio.answers import decode_content
from ..sansio.http import Headers, Response
from ..sansio.ledger import Entry, Failure, ItemState, Timings


if TYPE_CHECKING:
    from ..batch import BatchItem


__all__ = ["LineFile", "build_details", "build_line", "write_line"]


def build_line(item: BatchItem | Entry) -> dict[str, Any]:
    """
    Make the line of an item.

    It is the same for the same outcome, whenever it came and from wherever: it has no
    times and no ids of tasks, but for those that may be the item.
    """
    line: dict[str, Any] = {
        "index": item.index,
        "key": item.key,
        "state": item.state.value,
    }
    if item.stored:
        # Beside the journal, wherever that is.
        line["file"] = "/".join(Path(item.stored).parts[-2:])
    elif item.state is ItemState.SUCCEEDED:
        line |= build_result(decoded(item) if isinstance(item, Entry) else item.result)
    elif item.failure is not None:
        line |= build_failure(item.failure)
    if item.candidates:
        line["candidates"] = list(item.candidates)
    return line


def decoded(entry: Entry) -> Any:
    """Return the result in a journal as ``result()`` would have it."""
    headers = Headers({"Content-Type": entry.media_type} if entry.media_type else {})
    return decode_content(Response(200, headers, entry.result or b""))


def build_result(result: Any) -> dict[str, Any]:
    """Say a result in JSON."""
    if not isinstance(result, bytes):
        return {"result": result}
    if not result:
        return {"result": None}
    return {"base64": base64.b64encode(result).decode()}


def build_failure(failure: Failure) -> dict[str, Any]:
    """Say why there is no result; the service's words, where it has some."""
    words = failure.message or failure.word or failure.text
    return {"error": failure.kind, "message": words}


def build_details(entry: Entry) -> dict[str, Any]:
    """Make the line of an item with everything that the journal knows."""
    return {
        **build_line(entry),
        "service": entry.service,
        "attempts": entry.attempts,
        "retries": list(entry.retries),
        "token": entry.token,
        "timings": build_times(entry.timings),
    }


def build_times(timings: Timings) -> dict[str, Any]:
    """Say when things happened, and for how many seconds they went on."""
    times = attrs.asdict(timings, filter=lambda _, value: value is not None)
    return {
        name: value
        if name in {"queue_time", "run_time"}
        else datetime.fromtimestamp(value, UTC).isoformat()
        for name, value in times.items()
    }


def write_line(line: dict[str, Any]) -> bytes:
    """Write a line, with its end; a line separator of Unicode does not break it."""
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    for char in "\x85\u2028\u2029":
        text = text.replace(char, json.dumps(char)[1:-1])
    return text.encode("utf-8", "backslashreplace") + b"\n"


class LineFile:
    """
    A file of lines that is whole whenever one looks, a crash aside.

    After a crash its last line may be cut off; :meth:`replace` repairs that.

    Args:
        path: of the file.
        fresh: refuse one that has something in it.

    Raises:
        InvalidArgument: it cannot be written, or has something in it.
    """

    def __init__(self, path: Path, *, fresh: bool) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            self._file = os.open(path, flags, 0o666)
        except OSError as exc:
            remedy = f"cannot be written: {exc.strerror}"
            raise InvalidArgument("--out", str(path), remedy) from exc
        self._size = os.fstat(self._file).st_size
        if fresh and self._size and path.is_file():
            os.close(self._file)
            remedy = "has something in it: name another file, or --resume its batch"
            raise InvalidArgument("--out", str(path), remedy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def write(self, line: bytes) -> None:
        """
        Add a line.

        Raises:
            OSError: it could not be written; then nothing of it is there.
        """
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            with suppress(OSError):  # such as a pipe
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    def replace(self, lines: Iterable[bytes]) -> None:
        """
        Put these lines in the place of all there are; what reads them sees either.

        Raises:
            OSError: they could not be written; then the old ones are there.
        """
        if not self.path.is_file():
            for line in lines:
                self.write(line)
            return
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                file.writelines(lines)
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
        os.close(self._file)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self._size = os.fstat(self._file).st_size
