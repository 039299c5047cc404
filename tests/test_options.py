"""The keyword arguments that every client takes."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.hooks import Hooks
from asynctasks.lanes import Kind
from asynctasks.options import (
    ClientOptions,
    build_hub,
    build_limits,
    build_manners,
    check_options,
    normal_origins,
)
from asynctasks.sansio.history import LearnedPolicy
from asynctasks.sansio.http import Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.testing import MemoryTransport


LOGGER = logging.getLogger("tests.options")

SLOW = PollPolicy(wait_initial=7.0, wait_max=7.0)


def hub_of(**options: Any) -> Any:
    options.setdefault("transport", MemoryTransport(lambda _: Response(200)))
    given: ClientOptions = {**options}  # type: ignore[typeddict-item]
    return build_hub(given, LOGGER)


def test_polls_are_learned_by_default() -> None:
    """Without a word the schedule is learned, and plain until then."""
    watcher = hub_of().watcher

    assert (PollPolicy(), LearnedPolicy(), True) == (
        watcher.policy,
        watcher._learn,
        watcher._merge,
    )


def test_own_schedule_is_not_learned_over() -> None:
    """Who says when to look is taken at the word."""
    watcher = hub_of(poll=SLOW).watcher

    assert (SLOW, None) == (watcher.policy, watcher._learn)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"learn": LearnedPolicy(cost=0.01)}, LearnedPolicy(cost=0.01)),
        ({"learn": None}, None),
        ({"poll": SLOW, "learn": LearnedPolicy()}, LearnedPolicy()),
    ],
    ids=["how", "never", "both"],
)
def test_learning_is_as_wanted(
    options: dict[str, Any], expected: LearnedPolicy | None
) -> None:
    """What is said of learning holds, whatever the policy is."""
    assert expected == hub_of(**options).watcher._learn


def test_merging_is_as_wanted() -> None:
    """Looks are merged unless that is not wanted."""
    assert not hub_of(merge=False).watcher._merge


def test_width_and_rate_are_the_lanes() -> None:
    """The width is shared by the lanes; the rate holds for all of them."""
    wide, narrow = hub_of().lanes, hub_of(width=8, max_rate=5.0).lanes
    widths = [
        {kind: lane.limit.most for kind, lane in lanes.lanes.items()}
        for lanes in (wide, narrow)
    ]

    assert [
        {Kind.SUBMIT: 16, Kind.POLL: 24, Kind.RESULT: 16, Kind.ADMIN: 8},
        {Kind.SUBMIT: 2, Kind.POLL: 3, Kind.RESULT: 2, Kind.ADMIN: 1},
    ] == widths
    assert (math.inf, 5.0) == (wide._bucket.rate, narrow._bucket.rate)


@pytest.mark.parametrize("rate", [0, -1.0, math.nan])
def test_rate_that_is_none(rate: float) -> None:
    """A rate must let something through."""
    with pytest.raises(InvalidArgument, match="max_rate"):
        hub_of(max_rate=rate)


def test_hooks_are_shared() -> None:
    """The same hooks hear of requests and of the subscriber."""
    hub = hub_of(hooks=(print,))

    assert isinstance(hub.hooks, Hooks)
    assert hub.hooks
    assert hub.subscriber._hooks is hub.hooks
    assert not hub_of().hooks


def test_transport_is_owned_by_who_made_it() -> None:
    """What was given stays the caller's."""
    transport = MemoryTransport(lambda _: Response(200))
    given = hub_of(transport=transport)

    assert (transport, False) == (given.lanes.transport, given.own_transport)
    assert build_hub({}, LOGGER).own_transport


def test_transport_and_session_exclude_each_other() -> None:
    """One of them moves the bytes."""
    with pytest.raises(InvalidArgument, match="give a transport or a session"):
        hub_of(session=object())


def test_misspelt_options_are_refused() -> None:
    """The error names the client and the options that there are."""
    options: Any = {"with": 8}
    with pytest.raises(TypeError, match=r"AimmsClient has no option 'with'; .*width"):
        check_options("AimmsClient", options)


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
@pytest.mark.parametrize("name", ["attempt_timeout", "patience"])
def test_seconds_must_be_finite(name: str, value: float) -> None:
    """No wait is without an end, and none has none."""
    options: Any = {name: value}
    with pytest.raises(InvalidArgument, match=f"{name}=.*finite number of seconds"):
        build_limits(options) and build_manners(options)


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
@pytest.mark.parametrize("name", ["width", "max_response_bytes"])
def test_numbers_must_be_whole(name: str, value: Any) -> None:
    """Half a request cannot be sent."""
    options: Any = {name: value}
    with pytest.raises(InvalidArgument, match=f"{name}=.*whole number"):
        build_limits(options) and build_hub(options, LOGGER)


def test_manners() -> None:
    """How a client treats its tasks, by default and as wanted."""
    plain = build_manners({})
    rude = build_manners({"cleanup": "delete", "on_cancel": "cancel_remote"})

    assert ("keep", "leave", "leave", 24 * 3600.0, None) == (
        plain.cleanup,
        plain.on_cancel,
        plain.on_timeout,
        plain.patience,
        plain.trace_context(),
    )
    assert ("delete", "cancel_remote", "leave") == (
        rude.cleanup,
        rude.on_cancel,
        rude.on_timeout,
    )


@pytest.mark.parametrize("name", ["cleanup", "on_cancel", "on_timeout"])
def test_unknown_manners(name: str) -> None:
    """The error names what there is to choose from."""
    options: Any = {name: "whatever"}
    with pytest.raises(InvalidArgument, match=f"{name}='whatever': choose"):
        build_manners(options)


def test_origins_are_compared_in_one_form() -> None:
    """Case, default ports and paths make no other origin."""
    given = ["https://Blobs.Example:443/x", "http://127.0.0.1:80"]

    assert {"https://blobs.example", "http://127.0.0.1"} == normal_origins(given)


def test_one_origin_is_no_collection() -> None:
    """A text would be taken for a collection of letters."""
    with pytest.raises(InvalidArgument, match="give a collection of origins"):
        normal_origins("https://blobs.example")
