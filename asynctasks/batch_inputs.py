"""The inputs of a batch: any number of iterables, read one input at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
import hashlib
import json
from typing import Any

from .exceptions import InvalidArgument
from .sansio import codec


__all__ = ["Inputs", "digest"]


class Inputs:
    """Iterables, plain or async, one after the other; more may be added meanwhile."""

    def __init__(self) -> None:
        self._waiting: deque[Iterator[Any] | AsyncIterator[Any]] = deque()

    def __bool__(self) -> bool:
        """Tell whether there may be more to read."""
        return bool(self._waiting)

    def add(self, inputs: Iterable[Any] | AsyncIterable[Any]) -> None:
        """
        Have inputs read after those there are.

        Raises:
            InvalidArgument: they cannot be gone through, or are a text or a mapping,
                whose parts are hardly meant.
        """
        if isinstance(inputs, AsyncIterable):
            self._waiting.append(aiter(inputs))
        elif isinstance(inputs, Iterable) and not isinstance(
            inputs, str | bytes | dict
        ):
            self._waiting.append(iter(inputs))
        else:
            remedy = "give an iterable of inputs, plain or async"
            raise InvalidArgument("inputs", type(inputs).__name__, remedy)

    async def next(self) -> Any:
        """
        Read one input.

        Raises:
            StopAsyncIteration: there is none left.
        """
        while self._waiting:
            source = self._waiting[0]
            try:
                if isinstance(source, AsyncIterator):
                    return await anext(source)
                return next(source)
            except (StopIteration, StopAsyncIteration):
                self._waiting.popleft()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Read no more; end the async generators that are under way."""
        waiting, self._waiting = self._waiting, deque()
        for source in waiting:
            close = getattr(source, "aclose", None)
            if close is not None:
                await close()


def digest(given: Any) -> str:
    """
    Return a hash of an input, the same for equal JSON in whatever order of names.

    Raises:
        InvalidArgument: it is not JSON; give a key instead.
    """
    if isinstance(given, bytes):
        return hashlib.sha256(b"bytes:" + given).hexdigest()[:32]
    try:
        text = json.dumps(given, sort_keys=True, allow_nan=False, separators=(",", ":"))
        data = text.encode()
    except (TypeError, ValueError, RecursionError):
        data = codec.dumps(given)  # says what is wrong with it
    return hashlib.sha256(data).hexdigest()[:32]
