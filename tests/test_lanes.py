"""Who may send now: lanes, the rate, pauses and outages."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import (
    AsyncTasksError,
    ConnectError,
    InvalidState,
    RemoteProtocolError,
    TlsError,
)
from asynctasks.lanes import SHARES, Kind, Lane, Lanes
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.testing import MemoryTransport
from tests.faults.cancel_at import sweep


virtual = pytest.mark.virtual_time

GET = Request("GET", "/tasks/7")
OK = Response(200)
REFUSED = Response(429)
UNREACHED = ConnectError("nobody there")


def lanes_of(width: int = 64, max_rate: float = math.inf) -> Lanes:
    return Lanes(MemoryTransport(lambda _: OK), width=width, max_rate=max_rate)


def later(seconds: float, status: int = 429) -> Response:
    return Response(status, Headers({"Retry-After": str(seconds)}))


def now() -> float:
    return asyncio.get_running_loop().time()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def attempt(
    lanes: Lanes,
    kind: Kind = Kind.POLL,
    outcome: Response | AsyncTasksError | None = OK,
    takes: float = 0.0,
) -> float:
    """Make an attempt; return when it began."""
    if not lanes.try_enter(kind):
        await lanes.enter(kind, GET)
    began = now()
    try:
        await asyncio.sleep(takes)
    finally:
        lanes.leave(kind, outcome, sent_at=began, pause_max=120.0)
    return began


# --- one lane ----------------------------------------------------------------


async def test_lane_lets_in_as_many_as_it_is_wide() -> None:
    """The others wait, and are let in one by one as places are given back."""
    lane = Lane(2)
    entering = [asyncio.create_task(lane.enter()) for _ in range(5)]
    await settle()
    before = (lane.running, lane.waiting)
    lane.leave()
    await settle()

    assert ((2, 3), (2, 2)) == (before, (lane.running, lane.waiting))
    assert [True, True, True, False, False] == [task.done() for task in entering]

    for _ in range(4):
        lane.leave()
        await settle()

    assert (0, 0) == (lane.running + sum(not t.done() for t in entering), lane.waiting)


async def test_waiter_is_cancelled_as_a_place_becomes_free() -> None:
    """Cancelled first and passed over after: the cancellation comes out."""
    lane = Lane(1)
    await lane.enter()
    first, second = (asyncio.create_task(lane.enter()) for _ in range(2))
    await settle()
    first.cancel()
    lane.leave()
    await settle()

    assert (True, True) == (first.cancelled(), second.done())
    assert (1, 0) == (lane.running, lane.waiting)


async def test_waiter_is_cancelled_as_it_is_given_a_place() -> None:
    """Given first and cancelled after: the place goes to the next one."""
    lane = Lane(1)
    await lane.enter()
    first, second = (asyncio.create_task(lane.enter()) for _ in range(2))
    await settle()
    lane.leave()
    first.cancel()
    await settle()

    assert (True, True) == (first.cancelled(), second.done())
    assert (1, 0) == (lane.running, lane.waiting)


OPERATIONS = st.one_of(
    st.sampled_from(["enter", "leave", "refused", "succeeded", "settle"]),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
)


class LaneModel:
    """A lane, and what must be true of it whatever happens."""

    def __init__(self, width: int) -> None:
        self.lane = Lane(width)
        self.waiting: dict[int, asyncio.Task[None]] = {}
        self.admitted: list[int] = []
        self.cancelled: set[int] = set()
        self.count = 0
        self.left = 0

    async def _enter(self, number: int) -> None:
        await self.lane.enter()
        self.admitted.append(number)

    async def do(self, operation: Any) -> None:
        match operation:
            case "enter":
                entering = asyncio.create_task(self._enter(self.count))
                self.waiting[self.count] = entering
                self.count += 1
            case "leave" if self.left < len(self.admitted):
                self.left += 1
                self.lane.leave()
            case "refused":
                self.lane.limit.refused(sent_at=now(), now=now())
            case "succeeded":
                self.lane.limit.succeeded()
                self.lane.admit()
            case ("cancel", place) if place < len(self.waiting):
                number = list(self.waiting)[place]
                self.waiting[number].cancel()
            case "settle":
                await self.check()

    async def check(self) -> None:
        """Nobody waits while there is room; all came in order; no place is lost."""
        await settle()
        self.cancelled |= {n for n, task in self.waiting.items() if task.cancelled()}
        self.waiting = {n: task for n, task in self.waiting.items() if not task.done()}
        lane = self.lane

        assert len(self.admitted) - self.left == lane.running
        assert len(self.waiting) == lane.waiting
        assert not self.waiting or lane.running >= lane.limit.limit
        assert sorted(self.admitted) == self.admitted
        assert lane.running <= lane.limit.most

    async def end(self) -> None:
        """Whoever did not give up gets a place in the end."""
        await self.check()
        while self.left < len(self.admitted) or self.waiting:
            await self.do("leave")
            await self.check()

        assert set(range(self.count)) == self.cancelled | set(self.admitted)
        assert 0 == self.lane.running


@given(st.integers(1, 4), st.lists(OPERATIONS, max_size=40))
def test_lane_keeps_its_promises(width: int, operations: list[Any]) -> None:
    """Whatever comes, goes, gives up or is refused: in order, and nothing is lost."""

    async def play() -> None:
        model = LaneModel(width)
        for operation in operations:
            await model.do(operation)
        await model.end()

    asyncio.run(play())


# --- cancelled while it waits ------------------------------------------------


@pytest.mark.parametrize("hindrance", ["none", "lane", "rate", "pause", "both"])
@virtual
async def test_cancelled_wait_leaks_no_place(hindrance: str) -> None:
    """Cancelled at each await of entering: all places are there again."""
    lanes = lanes_of(width=4, max_rate=10.0 if hindrance in {"rate", "both"} else 1e9)
    lane = lanes.lanes[Kind.POLL]
    width = lane.limit.limit
    leaving: list[asyncio.Task[float]] = []

    async def make() -> Coroutine[Any, Any, None]:
        if hindrance == "lane":
            leaving[:] = [
                asyncio.create_task(attempt(lanes, takes=1.0)) for _ in range(width)
            ]
        elif hindrance != "none":
            await attempt(lanes)  # takes what the rate allows at once
        if hindrance in {"pause", "both"}:
            lanes.hold(0.5, now())
        await settle()
        return lanes.enter(Kind.POLL, GET)

    async def check() -> None:
        await asyncio.gather(*leaving)
        await settle()

        assert (0, 0, False) == (lane.running, lane.waiting, lanes._turn.locked())

    suspensions = await sweep(make, check)

    assert (suspensions > 0) is (hindrance != "none")
    assert 1 == lane.running


@virtual
async def test_failed_entry_gives_its_place_back() -> None:
    """Who is turned away because of an outage does not keep the place."""
    lanes = lanes_of()
    for _ in range(20):
        await attempt(lanes, outcome=UNREACHED)
    await lanes.enter(Kind.POLL, GET)
    with pytest.raises(ConnectError):
        await lanes.enter(Kind.POLL, GET)

    assert 1 == lanes.lanes[Kind.POLL].running


# --- several lanes -----------------------------------------------------------


@pytest.mark.parametrize("width", [1, 8, 64, 256])
def test_width_is_shared(width: int) -> None:
    """Each kind has a lane; together they are as wide as the client may be."""
    lanes = lanes_of(width)
    widths = [lane.limit.most for lane in lanes.lanes.values()]

    assert set(Kind) == set(SHARES) == set(lanes.lanes)
    assert max(width, len(Kind)) == sum(widths)


@virtual
async def test_flood_of_polls_does_not_delay_a_submit() -> None:
    """With 10,000 polls due a submit begins at once, and so does a result."""
    lanes = lanes_of()
    polls = [asyncio.create_task(attempt(lanes, takes=0.05)) for _ in range(10_000)]
    await asyncio.sleep(1)
    asked = now()
    others = (Kind.SUBMIT, Kind.RESULT, Kind.ADMIN)
    began = await asyncio.gather(*[attempt(lanes, kind) for kind in others])
    waiting = lanes.lanes[Kind.POLL].waiting
    for poll in polls:
        poll.cancel()
    await asyncio.wait(polls)

    assert waiting > 5000
    assert max(began) - asked <= 0.002


@virtual
async def test_slow_results_do_not_delay_polls() -> None:
    """Results that take minutes leave the other lanes alone."""
    lanes = lanes_of()
    results = [
        asyncio.create_task(attempt(lanes, Kind.RESULT, takes=600)) for _ in range(100)
    ]
    await asyncio.sleep(1)
    asked = now()
    began = await asyncio.gather(*[attempt(lanes, takes=0.01) for _ in range(24)])

    assert max(began) - asked <= 0.002

    await asyncio.gather(*results)


# --- the rate ----------------------------------------------------------------


@virtual
async def test_rate_is_kept_by_all_lanes_together() -> None:
    """However many want to send, no second sees more than the rate and its burst."""
    lanes = lanes_of(max_rate=20)
    attempts = [attempt(lanes, kind) for kind in Kind for _ in range(50)]
    began = sorted(await asyncio.gather(*attempts))
    most = max(sum(start <= at < start + 1 for at in began) for start in began)

    assert most <= 20 + 2
    assert 198 / 20 == pytest.approx(began[-1] - began[0], abs=0.1)
    assert lanes.rated > 0


@virtual
async def test_rate_is_shared_fairly() -> None:
    """A flood of one kind and a few of another: the few do not wait for the flood."""
    lanes = lanes_of(max_rate=10)
    polls = [asyncio.create_task(attempt(lanes)) for _ in range(300)]
    await asyncio.sleep(1)
    asked = now()
    began = await asyncio.gather(*[attempt(lanes, Kind.SUBMIT) for _ in range(5)])
    waits = [at - asked for at in began]
    for poll in polls:
        poll.cancel()
    await asyncio.wait(polls)

    # Those before them are at most as many as the poll lane is wide.
    assert max(waits) <= (24 + 5) / 10 + 0.1


# --- pauses ------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
@virtual
async def test_pause_holds_for_all_and_no_longer(status: int) -> None:
    """What the service asks of one request is obeyed by all, to the moment."""
    lanes = lanes_of()
    asked = await attempt(lanes, outcome=later(30, status))
    began = await asyncio.gather(*[attempt(lanes, kind) for kind in Kind])

    assert [30.0] * 4 == [pytest.approx(at - asked, abs=0.01) for at in began]


@virtual
async def test_pause_holds_for_those_who_wait_for_the_rate() -> None:
    """Who was in line for the rate before the pause began waits it out too."""
    lanes = lanes_of(max_rate=1)
    first = asyncio.create_task(attempt(lanes, outcome=later(60), takes=1.5))
    others = [asyncio.create_task(attempt(lanes, kind)) for kind in Kind]
    began, *rest = await asyncio.gather(first, *others)
    after = sorted(at - began for at in rest)

    assert after[0] <= 1.1  # before the answer
    assert after[1] == pytest.approx(61.5, abs=0.01)
    assert after[3] <= 64.5


@virtual
async def test_pause_may_be_prolonged() -> None:
    """A second wish counts from when it was made; the longer one holds."""
    lanes = lanes_of()
    lanes.hold(10, now())
    asked = now()
    waiting = asyncio.create_task(attempt(lanes))
    await asyncio.sleep(5)
    lanes.hold(20, now())
    lanes.hold(1, now())

    assert pytest.approx(25, abs=0.01) == await waiting - asked


@virtual
async def test_pause_beyond_the_cap_is_not_obeyed() -> None:
    """A wish beyond the cap concerns its own request only, which is refused."""
    lanes = lanes_of()
    asked = await attempt(lanes, outcome=later(121))

    assert asked == pytest.approx(await attempt(lanes), abs=0.01)


# --- refusals ----------------------------------------------------------------


@virtual
async def test_refusals_narrow_their_lane_only() -> None:
    """A 429 halves the lane it came through; successes widen it again."""
    lanes = lanes_of()
    widths: list[tuple[int, int]] = []

    async def note(outcome: Response) -> None:
        await asyncio.sleep(
            0.001
        )  # what is sent in the moment of a refusal is of its wave
        await attempt(lanes, Kind.SUBMIT, outcome, takes=0.1)
        submit, poll = lanes.lanes[Kind.SUBMIT], lanes.lanes[Kind.POLL]
        widths.append((submit.limit.limit, poll.limit.limit))

    for _ in range(5):
        await note(REFUSED)
    for _ in range(200):
        await note(OK)

    assert [(8, 24), (4, 24), (2, 24), (1, 24), (1, 24)] == widths[:5]
    assert sorted(widths[5:]) == widths[5:]
    assert (16, 24) == widths[-1]


@virtual
async def test_narrowed_lane_sends_less_and_recovers() -> None:
    """A service that takes four submits at a time is soon sent hardly more."""
    lanes = lanes_of()
    open_, most, refusals = 0, 0, 0

    async def submit() -> None:
        nonlocal open_, most, refusals
        await lanes.enter(Kind.SUBMIT, GET)
        began = now()
        open_ += 1
        most = max(most, open_)
        answer = OK if open_ <= 4 else REFUSED
        refusals += answer is REFUSED
        await asyncio.sleep(1)
        open_ -= 1
        lanes.leave(Kind.SUBMIT, answer, sent_at=began, pause_max=0.0)

    await asyncio.gather(*[submit() for _ in range(400)])

    assert 16 == most
    assert refusals < 100


# --- outages -----------------------------------------------------------------


async def break_down(lanes: Lanes) -> None:
    for _ in range(20):
        await attempt(lanes, outcome=UNREACHED, takes=0.01)


@virtual
async def test_outage_is_probed_by_one_at_a_time() -> None:
    """While one finds out, everybody else is told at once that nothing was sent."""
    lanes = lanes_of()
    await break_down(lanes)
    probe = asyncio.create_task(attempt(lanes, Kind.ADMIN, UNREACHED, takes=5))
    await settle()
    asked = now()
    refused = await asyncio.gather(
        *[attempt(lanes, kind) for kind in Kind], return_exceptions=True
    )

    assert [ConnectError] * 4 == [type(error) for error in refused]
    assert not any(error.sent for error in refused if isinstance(error, ConnectError))
    assert asked == now()

    await probe
    second = asyncio.create_task(attempt(lanes, outcome=OK, takes=1))
    await settle()
    with pytest.raises(ConnectError, match="one request at a time tries"):
        await attempt(lanes)
    await second
    began = await asyncio.gather(*[attempt(lanes, takes=1) for _ in range(24)])

    assert max(began) - min(began) <= 0.01


@virtual
async def test_stragglers_make_no_second_probe() -> None:
    """Requests from before the outage that fail meanwhile open no way."""
    lanes = lanes_of()
    slow = [asyncio.create_task(attempt(lanes, outcome=UNREACHED, takes=2))]
    slow += [asyncio.create_task(attempt(lanes, outcome=None, takes=2))]
    await settle()
    await break_down(lanes)
    probe = asyncio.create_task(attempt(lanes, outcome=UNREACHED, takes=10))
    await asyncio.gather(*slow)
    with pytest.raises(ConnectError):
        await attempt(lanes)
    await probe


@pytest.mark.parametrize(
    "outcome",
    [Response(500), RemoteProtocolError("JSON", OK), TlsError("unknown issuer")],
    ids=["500", "nonsense", "certificate"],
)
@virtual
async def test_any_answer_ends_an_outage(outcome: Response | AsyncTasksError) -> None:
    """Whatever the service says, it is there."""
    lanes = lanes_of()
    await break_down(lanes)
    await attempt(lanes, outcome=outcome)

    assert not lanes.outage.on


@pytest.mark.parametrize("outcome", [None, InvalidState("a fault of ours")])
@virtual
async def test_attempt_that_was_not_made_says_nothing(
    outcome: AsyncTasksError | None,
) -> None:
    """After a probe that was cancelled, or that we broke, the next one probes."""
    lanes = lanes_of()
    await break_down(lanes)
    await attempt(lanes, outcome=outcome)

    assert lanes.outage.on
    await attempt(lanes)


# --- whose they are ----------------------------------------------------------


async def test_closed_lanes_are_refused() -> None:
    """A closed client says so."""
    lanes = lanes_of()
    lanes.closed = True
    with pytest.raises(InvalidState, match="the client is closed"):
        lanes.check()


def test_lanes_belong_to_one_loop() -> None:
    """The first use decides which loop it is."""
    lanes = lanes_of()

    async def use() -> None:
        assert asyncio.get_running_loop() is lanes.check()

    asyncio.run(use())
    with pytest.raises(InvalidState, match="belongs to another event loop"):
        asyncio.run(use())
