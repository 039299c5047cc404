"""Inputs: iterables of all kinds, one input at a time, and their hashes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.batch_inputs import Inputs, digest
from asynctasks.exceptions import InvalidArgument


async def read(inputs: Inputs) -> list[Any]:
    found = []
    try:
        while True:
            found.append(await inputs.next())
    except StopAsyncIteration:
        return found


async def later(*values: int) -> AsyncIterator[int]:
    for value in values:
        yield value


async def test_sources_follow_each_other() -> None:
    """Plain and async iterables are read to their ends, in the order of adding."""
    inputs = Inputs()
    for source in ([1, 2], later(3, 4), (), iter([5])):
        inputs.add(source)

    assert [1, 2, 3, 4, 5] == await read(inputs)
    assert not inputs


async def test_nothing_is_read_ahead() -> None:
    """An input is read when it is asked for."""
    read: list[int] = []

    def source() -> Iterator[int]:
        for number in range(9):
            read.append(number)
            yield number

    inputs = Inputs()
    inputs.add(source())
    first = await inputs.next()

    assert (0, [0]) == (first, read)


async def test_sources_can_be_added_after_the_end() -> None:
    """What was read to its end goes on with what is added."""
    inputs = Inputs()
    inputs.add([1])
    before = await read(inputs)
    inputs.add([2])

    assert ([1], [2]) == (before, await read(inputs))


async def test_close_ends_async_generators() -> None:
    """An async generator that is under way gets the chance to clean up."""
    ended = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append(True)

    inputs = Inputs()
    inputs.add(source())
    inputs.add([3])
    await inputs.next()
    await inputs.close()

    assert ([True], []) == (ended, await read(inputs))


@pytest.mark.parametrize("given", [3, None, "text", b"bytes", {"x": 1}])
def test_what_is_hardly_meant_is_refused(given: Any) -> None:
    """A text or a mapping could be gone through, but its parts are no inputs."""
    with pytest.raises(InvalidArgument, match="iterable of inputs"):
        Inputs().add(given)


jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), jsons))
def test_order_of_names_does_not_matter(given: dict[str, Any]) -> None:
    """Equal JSON has one hash."""
    turned = dict(reversed(given.items()))

    assert digest(given) == digest(turned)


def test_different_inputs_differ() -> None:
    """What is not equal has another hash, also across types."""
    values = [1, "1", [1], {"x": 1}, {"x": "1"}, None, b"1", 1.5, "ü"]
    hashes = {digest(value) for value in values}

    assert len(values) == len(hashes)


@pytest.mark.parametrize("given", [object(), float("nan"), {1, 2}])
def test_other_values_have_none(given: Any) -> None:
    """What JSON cannot say has no hash; the error names the place."""
    with pytest.raises(InvalidArgument, match="inputs"):
        digest(given)
