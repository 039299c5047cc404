"""The shelf of items, and the slots of remote tasks."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from asynctasks.batch_item import BatchItem, build_item
from asynctasks.batch_shelf import Shelf, Slots
from asynctasks.sansio.ledger import Entry


def item(index: int) -> BatchItem:
    return build_item(Entry(key=str(index), index=index), index, None)


def taken(shelf: Shelf) -> list[int]:
    found = []
    while (each := shelf.take()) is not None:
        found.append(each.index)
    return found


@given(st.permutations(range(8)))
def test_order_is_kept_however_items_come(order: list[int]) -> None:
    """An ordered shelf gives items by index, each as soon as it can."""
    shelf = Shelf(ordered=True)
    found: list[int] = []
    for number, index in enumerate(order, 1):
        shelf.put(item(index))
        found += taken(shelf)

        assert number == len(found) + len(shelf)
    assert list(range(8)) == found


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_missing_items_hold_nobody_back(order: list[int], missing: set[int]) -> None:
    """Where items do not come at all, the others are given at the end."""
    shelf = Shelf(ordered=True)
    for index in order:
        if index in missing:
            shelf.skip(index)
        else:
            shelf.put(item(index))
    shelf.flush()

    assert sorted(set(order) - missing) == taken(shelf)


@given(st.permutations(range(8)))
def test_without_order_the_first_comes_first(order: list[int]) -> None:
    """A shelf without order gives items as they come."""
    shelf = Shelf(ordered=False)
    for index in order:
        shelf.put(item(index))

    assert order == taken(shelf)


def test_last_items_have_no_place() -> None:
    """An item without a place in the order is given after those that are ready."""
    shelf = Shelf(ordered=True)
    shelf.put(item(0))
    shelf.put(item(0), last=True)

    assert [0, 0] == taken(shelf)


async def test_slots_are_given_in_order() -> None:
    """Whoever waits longest for a slot gets it; they are counted."""
    slots, order = Slots(2), []

    async def take(number: int) -> None:
        await slots.acquire()
        order.append(number)

    tasks = [asyncio.create_task(take(number)) for number in range(4)]
    await asyncio.sleep(0)
    used = slots.used
    slots.release()
    slots.release()
    await asyncio.gather(*tasks)

    assert (2, [0, 1, 2, 3], 2) == (used, order, slots.used)
