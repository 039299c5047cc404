"""The keyword arguments that every client takes."""

from __future__ import annotations

from fractions import Fraction
import logging
import math
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
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
        watcher.pace.policy,
        watcher.pace.learn,
        watcher._merge,
    )


def test_own_schedule_is_not_learned_over() -> None:
    """Who says when to look is taken at the word."""
    watcher = hub_of(poll=SLOW).watcher

    assert (SLOW, None) == (watcher.pace.policy, watcher.pace.learn)


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
    assert expected == hub_of(**options).watcher.pace.learn


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


def test_hooks_are_gone_through_once() -> None:
    """An iterator of hooks will do; what cannot be called will not."""
    heard: list[Any] = []
    hub = hub_of(hooks=iter([heard.append]))
    hub.hooks.tell("news")

    assert ["news"] == heard
    with pytest.raises(InvalidArgument, match=r"^hooks=5: give callables, which take"):
        hub_of(hooks=[5])


def test_none_is_the_default() -> None:
    """What is optional for a caller of ours can be passed on; so nothing is learned
    only where that is said."""
    nothing: Any = dict.fromkeys(ClientOptions.__annotations__)
    check_options("AimmsClient", nothing)
    del nothing["learn"]
    watcher = build_hub(nothing, LOGGER).watcher

    assert (PollPolicy(), LearnedPolicy(), True) == (
        watcher.pace.policy,
        watcher.pace.learn,
        watcher._merge,
    )
    assert build_limits({}) == build_limits(nothing)
    assert frozenset() == normal_origins(None)
    assert build_manners({}).patience == build_manners(nothing).patience


def test_misspelt_options_are_refused() -> None:
    """The error names the client and the options that there are."""
    options: Any = {"with": 8}
    with pytest.raises(TypeError, match=r"AimmsClient has no option 'with'; .*width"):
        check_options("AimmsClient", options)


SECONDS = "must be a finite number of seconds above 0"
WHOLE = "must be a whole number, 1 or more"
FLAG = "give True or False"
POLICY = "choose leave or cancel_remote"

WRONG: list[tuple[str, Any, str]] = [
    ("transport", "http", "give a Transport; an aiohttp session goes to session="),
    ("session", "http", "give an aiohttp.ClientSession"),
    ("retry", 5, "give a RetryPolicy, e.g."),
    ("poll", 5, "give a PollPolicy, e.g."),
    ("learn", True, "give a LearnedPolicy, or None"),
    ("merge", "no", FLAG),
    *(("patience", v, SECONDS) for v in (0, -1, math.inf, math.nan, True, "5")),
    *(("attempt_timeout", v, SECONDS) for v in (0, math.inf, math.nan, False, "5")),
    *(("width", v, WHOLE) for v in (0, -1, 1.5, True, "8")),
    *(("max_response_bytes", v, WHOLE) for v in (0, math.inf, True)),
    *(("max_rate", v, "a number above 0, a") for v in (0, -1, math.nan, True, "5")),
    ("cleanup", "all", "choose keep or delete"),
    ("cleanup", ["keep"], "choose keep or delete"),
    ("on_cancel", "kill", POLICY),
    ("on_timeout", True, POLICY),
    ("trusted_origins", "https://blobs.example", "give a collection of origins"),
    ("trusted_origins", [5], "give a collection of origins"),
    ("trusted_origins", 5, "give a collection of origins"),
    ("allow_insecure", "no", FLAG),
    ("hooks", print, "give an iterable of callables, such as hooks=(hook,)"),
    ("hooks", "log", "give an iterable of callables, such as hooks=(hook,)"),
    ("trace_context", "00-0af", "give a function that returns text, or None"),
    ("logger", "mine", "give a logger, e.g."),
    ("journal", 5, "give the path of a file"),
    ("grace", -1, SECONDS),
]


@pytest.mark.parametrize(("name", "value", "remedy"), WRONG)
def test_wrong_options_are_refused(name: str, value: Any, remedy: str) -> None:
    """The error names the option, what was given, and what to give."""
    with pytest.raises(InvalidArgument) as caught:
        AimmsClient.local(**{name: value})

    assert str(caught.value).startswith(f"{name}={value!r}: ")
    assert remedy in str(caught.value)


def test_every_option_is_looked_at() -> None:
    """No option can be of a wrong kind unseen."""
    wrong = {name for name, _, _ in WRONG}

    assert ClientOptions.__annotations__.keys() == wrong


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_rate", math.inf),
        ("patience", Fraction(7, 2)),
        ("logger", logging.LoggerAdapter(LOGGER, {})),
        ("trusted_origins", frozenset({"https://blobs.example"})),
        ("hooks", ()),
    ],
)
def test_unusual_options_are_taken(name: str, value: Any) -> None:
    """Everything that works is taken."""
    AimmsClient.local(**{name: value})


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


def test_origins_are_compared_in_one_form() -> None:
    """Case, default ports and paths make no other origin."""
    given = ["https://Blobs.Example:443/x", "http://127.0.0.1:80"]

    assert {"https://blobs.example", "http://127.0.0.1"} == normal_origins(given)
