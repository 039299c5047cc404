"""
What holds for every test.

A test fails when it leaves an asyncio task or an unclosed aiohttp session behind,
or when it tries to reach anything but this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
import gc
import inspect
import ipaddress
import os
import signal
import sys
from typing import Any
from unittest.mock import Mock

import aiohttp
import aioresponses.core
import hypothesis
import pytest
import pytest_asyncio


if "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters:
    # aioresponses 0.7.9 does not pass the argument that aiohttp 3.14 added
    # (https://github.com/pnuckowski/aioresponses/issues/289).
    class RepairedResponse(aiohttp.ClientResponse):
        """A response that can be made without a stream writer."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
            super().__init__(*args, **kwargs)

    aioresponses.core.ClientResponse = RepairedResponse


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs the tests in the background has Ctrl-C ignored, and children
    # would inherit that: but some tests are about it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A shared machine may take its time; what is slow is not wrong.
hypothesis.settings.register_profile("asynctasks", deadline=None)
hypothesis.settings.load_profile("asynctasks")


def pytest_configure() -> None:
    """Let nobody make an event loop by asking whether there is one."""
    # looptime asks before every test; up to Python 3.13 that makes a loop, never
    # closed, unless somebody has said that there is none.
    asyncio.set_event_loop(None)


def pytest_xdist_auto_num_workers() -> int:
    """Run on one process more than there are cores: many tests wait for clocks."""
    return (os.cpu_count() or 1) + 1


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the conformance tests be pointed at another server."""
    parser.addoption(
        "--asynctasks",
        default="both",
        metavar="WHERE",
        help="where the conformance tests run: memory, local, both (default), or the "
        "URL of a running `asynctasks serve`",
    )


def pytest_collection_finish() -> None:
    """Keep what is loaded by now out of the collections after each test."""
    gc.collect()
    gc.freeze()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let looptime run the clock of the tests marked so, and of no others."""
    if item.get_closest_marker("virtual_time"):
        item.add_marker(pytest.mark.looptime)


class OutsideWorld(AssertionError):
    """Raised in a test that tries to reach another machine."""


class Border:
    """Watches the connections and the name lookups of this process."""

    def __init__(self) -> None:
        self.closed = False
        self.crossings: list[str] = []
        sys.addaudithook(self.watch)

    def watch(self, event: str, args: tuple[Any, ...]) -> None:
        """Refuse what would leave this machine; called for all audit events."""
        if not self.closed or not event.startswith("socket."):
            return
        if event in {"socket.connect", "socket.sendto"}:
            self.check(event, args[1], literals=False)
        elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
            self.check(event, args, literals=True)

    def check(self, event: str, address: Any, *, literals: bool) -> None:
        """Refuse the address; looking up an address in digits asks nobody."""
        if not isinstance(address, tuple) or is_local(address[0], literals=literals):
            return
        self.crossings.append(f"{event} {address[0]!r}")
        raise OutsideWorld(self.crossings[-1])


def is_local(host: object, *, literals: bool) -> bool:
    """Tell whether a host is this machine."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or host in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return literals or address.is_loopback


BORDER = Border()


@pytest.fixture(autouse=True)
def stay_on_this_machine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that connects to, or looks up, another machine."""
    if request.node.get_closest_marker("netns"):
        yield
        return
    BORDER.crossings.clear()
    BORDER.closed = True
    yield
    BORDER.closed = False

    assert [] == BORDER.crossings


@pytest.fixture(autouse=True)
def leave_nothing_behind(request: pytest.FixtureRequest) -> None:
    """Check the asynchronous tests for what they leave behind."""
    if pytest_asyncio.is_async_test(request.node):
        request.getfixturevalue("no_leaks")


@pytest.fixture
async def no_leaks() -> AsyncIterator[None]:
    """Fail a test that leaves an asyncio task or an unclosed session behind."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    leaked = asyncio.all_tasks() - before - {asyncio.current_task()}
    gc.collect()  # an unclosed session warns when it is collected

    assert set() == leaked
