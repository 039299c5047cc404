"""Single submits with a journal: once for each key, and found again after a death."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
import shutil
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.batch import BatchSubmitter
from asynctasks.client import TaskClient
from asynctasks.exceptions import (
    AuthenticationFailed,
    InvalidArgument,
    InvalidState,
    JournalError,
    JournalLocked,
    ServiceBroken,
    SubmitOutcomeUnknown,
)
from asynctasks.handle import TaskHandle
from asynctasks.journal import Journal
from asynctasks.journalled import JournalledTask
from asynctasks.recurring import RecurringTask
from asynctasks.sansio.auth import api_key
from asynctasks.sansio.http import Request, Response
from asynctasks.sansio.ledger import Entry, ItemState
from asynctasks.sansio.retry import NO_RETRY
from asynctasks.sansio.task import TaskState
from asynctasks.server.faults import Fault
from asynctasks.transport import Transport
from tests.batches import SERVICES, Dying, World, beats, collect, connect, writers


GRACE = 0.05

LAUNCH = {"aimms": "work", "desp": "launch", "oml-v1": "work", "oml-v2": "work"}
"""What is in the path of the request that starts a task."""

FINDABLE = [name for name in SERVICES if name != "oml-v1"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.transport.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


@asynccontextmanager
async def client_of(
    world: World, path: Path, service: str = "aimms", **options: Any
) -> AsyncIterator[TaskClient]:
    given = {"journal": path, "grace": GRACE, **options}
    async with connect(service, world.transport, **given) as made:
        yield made


def given(number: int = 0, **facts: Any) -> dict[str, Any]:
    return {"x": str(number), **facts}


def entries(path: Path) -> list[Entry]:
    with Journal.read(path) as reader:
        return list(reader.items())


def states(path: Path) -> list[ItemState]:
    return [entry.state for entry in entries(path)]


def seen(path: Path) -> list[ItemState]:
    """Return the states, if there is a journal by now."""
    with suppress(JournalError):
        return states(path)
    return []


async def journalled(client: TaskClient) -> list[JournalledTask]:
    return [each async for each in client.journalled()]


async def end(task: TaskHandle) -> str:
    """Wait for the end of a task; some services do not say how it ended."""
    state = (await task.wait()).state
    return "ended" if state in {TaskState.SUCCEEDED, TaskState.UNKNOWN} else state.value


def lose(world: World, service: str, drop: Any, times: int = 1) -> None:
    """Have answers, or requests, of submits lost."""
    faults = world.simulator.faults
    faults.add(Fault(drop=drop), times=times, method="POST", path=LAUNCH[service])


# --- what is on the disk when ------------------------------------------------


class Watching(Transport):
    """Looks into the journal when a task is to be started."""

    def __init__(self, transport: Transport, path: Path, launch: str) -> None:
        self._transport = transport
        self._path = path
        self._launch = launch
        self.seen: list[list[ItemState]] = []

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        if request.method == "POST" and self._launch in request.url:
            self.seen.append(await asyncio.to_thread(states, self._path))
        return await self._transport.send(request, timeout=timeout, max_bytes=max_bytes)

    def open(self, request: Request, *, timeout: float, idle: float) -> Any:
        return self._transport.open(request, timeout=timeout, idle=idle)

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("service", SERVICES)
async def test_intent_comes_first_and_the_token_before_the_handle(
    world: World, path: Path, service: str
) -> None:
    """The intent is on the disk before the request, the token before the return."""
    watching = Watching(world.transport, path, LAUNCH[service])
    async with connect(service, watching, journal=path) as client:
        first = await client.submit("work", given(1))
        (written,) = entries(path)
        await client.submit("work", given(2))
        state = await end(first)

    submitted, intended = ItemState.SUBMITTED, ItemState.INTENDED
    assert [[intended], [submitted, intended]] == watching.seen
    assert (first.token, first.id) == (written.token, written.task_id)
    assert "ended" == state


async def test_submit_without_a_key_is_one_of_its_own(world: World, path: Path) -> None:
    """Two equal submits are two tasks."""
    async with client_of(world, path) as client:
        tasks = [await client.submit("work", given()) for _ in range(2)]

    assert 2 == len({task.id for task in tasks}) == world.submissions


@pytest.mark.parametrize("service", SERVICES)
async def test_key_is_submitted_once(world: World, path: Path, service: str) -> None:
    """The same key gives the same task: at once, later, and in another run."""
    async with client_of(world, path, service) as client:
        tasks = await asyncio.gather(
            *(client.submit("work", given(), key="a") for _ in range(3))
        )
        tasks.append(await client.submit("work", given(), key="a"))
    async with client_of(world, path, service) as client:
        again = await client.submit("work", given(), key="a")
        state = await end(again)

    assert {again.id} == {task.id for task in tasks}
    assert ("ended", 1) == (state, world.submissions)


async def test_run_takes_a_key(world: World, path: Path) -> None:
    """What was run under a key is not run again; its result is fetched again."""
    async with client_of(world, path) as client:
        results = [await client.run("work", given(), key="a") for _ in range(2)]

    assert ([given()] * 2, 1) == (results, world.submissions)


@pytest.mark.parametrize(
    ("service", "inputs", "what"),
    [("work", given(2), "input"), ("echo", given(1), "service")],
)
async def test_key_belongs_to_one_input(
    world: World, path: Path, service: str, inputs: Any, what: str
) -> None:
    """A key that was used for something else is refused, and nothing is sent."""
    async with client_of(world, path) as client:
        await client.submit("work", given(1), key="a")
        with pytest.raises(JournalError, match=f"'a' with another {what}"):
            await client.submit(service, inputs, key="a")

    assert 1 == world.submissions


async def test_contents_are_compared_where_they_can_be(
    world: World, path: Path
) -> None:
    """Bytes are what they are; a stream can be read only once, and is believed."""

    async def stream() -> AsyncIterator[bytes]:
        yield b"1"

    async with client_of(world, path) as client:
        await client.submit("echo", content=b"1", key="bytes")
        with pytest.raises(JournalError, match="another input"):
            await client.submit("echo", content=b"2", key="bytes")
        first = await client.submit("echo", content=stream(), key="stream")
        second = await client.submit("echo", content=stream(), key="stream")
        form = [
            await client.submit("echo", files={"f": b"1"}, key="form") for _ in "12"
        ]

    assert first.id == second.id
    assert form[0].id == form[1].id


@pytest.mark.parametrize("key", ["", 7, "\ud800"])
async def test_key_is_text(world: World, path: Path, key: Any) -> None:
    """A key that is no text, or an empty one, is refused."""
    async with client_of(world, path) as client:
        with pytest.raises(InvalidArgument, match="must be a text"):
            await client.submit("work", given(), key=key)

    assert 0 == world.submissions


async def test_key_needs_a_journal(world: World) -> None:
    """Without a journal a key would promise what cannot be kept."""
    async with connect("aimms", world.transport) as client:
        with pytest.raises(InvalidArgument, match="journal=path"):
            await client.submit("work", given(), key="a")
        with pytest.raises(InvalidState, match="journal=path"):
            client.journalled()

    assert 0 == world.submissions


async def test_recurring_task_is_found_by_its_key(path: Path) -> None:
    """A recurring submit is made once, too."""
    world = World()
    async with AimmsClient.cloud(
        "acme",
        app="Demo",
        version="1",
        api_key="k",
        transport=world.transport,
        journal=path,
    ) as client:
        tasks = [
            await client.submit(
                "work", given(), schedule_every=timedelta(days=1), key="daily"
            )
            for _ in range(2)
        ]
        (found,) = await journalled(client)

    assert all(isinstance(task, RecurringTask) for task in tasks)
    assert found.task is not None
    assert {found.task.id} == {task.id for task in tasks}
    await world.transport.aclose()


# --- what a run left ---------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
async def test_tasks_are_given_back(world: World, path: Path, service: str) -> None:
    """The next run gets what was submitted, until it acknowledges it."""
    async with client_of(world, path, service) as client:
        for number in range(3):
            await client.submit("work", given(number), key=f"k{number}")
    async with client_of(world, path, service) as client:
        found = await journalled(client)
        ends = [await end(each.task) for each in found if each.task]
        await client.acknowledge(found[0].task)
        await client.acknowledge(key="k1")
        await client.acknowledge(key="k1")
    async with client_of(world, path, service) as client:
        left = await journalled(client)
        again = await client.submit("work", given(0), key="k0")

    assert [f"k{n}" for n in range(3)] == [each.key for each in found]
    assert ["ended"] * 3 == ends
    assert ["k2"] == [each.key for each in left]
    assert found[0].task is not None
    assert (found[0].task.id, 3) == (again.id, world.submissions)


async def test_end_of_a_task_is_noted(world: World, path: Path) -> None:
    """The journal says how tasks ended, as far as it was seen."""
    async with client_of(world, path) as client:
        tasks = [await client.submit("work", given(n, fail=n)) for n in range(2)]
        for task in tasks:
            await task.wait()
            await client.acknowledge(task)
        unseen = await client.submit("work", given(2))
        await client.acknowledge(unseen.token)

    kinds = [
        (each.state.value, each.failure and each.failure.kind) for each in entries(path)
    ]
    assert [("succeeded", None), ("failed", "TaskFailed"), ("succeeded", None)] == kinds


async def test_unknown_tasks_cannot_be_acknowledged(world: World, path: Path) -> None:
    """What the journal does not have is refused."""
    async with client_of(world, path) as client:
        with pytest.raises(InvalidArgument, match=r"task='t'.*not in the journal"):
            await client.acknowledge("t")
        with pytest.raises(InvalidArgument, match=r"key='k'.*not in the journal"):
            await client.acknowledge(key="k")


# --- lost answers ------------------------------------------------------------


@pytest.mark.parametrize("service", FINDABLE)
@pytest.mark.parametrize("drop", ["answer", "request"])
async def test_lost_answer_is_settled(
    world: World, path: Path, service: str, drop: str
) -> None:
    """A task that was accepted is found; one that was not is submitted again."""
    lose(world, service, drop)
    async with client_of(world, path, service) as client:
        state = await end(await client.submit("work", given()))

    assert ("ended", 1) == (state, world.submissions)
    assert [ItemState.SUBMITTED] == states(path)


async def test_lost_answer_that_nothing_can_settle(world: World, path: Path) -> None:
    """It is unknown, in this run and the next, and never submitted again by itself."""
    lose(world, "oml-v1", "answer")
    async with client_of(world, path, "oml-v1") as client:
        with pytest.raises(SubmitOutcomeUnknown) as first:
            await client.submit("work", given(), key="a")
    async with client_of(world, path, "oml-v1") as client:
        with pytest.raises(SubmitOutcomeUnknown, match="'a' is in the journal"):
            await client.submit("work", given(), key="a")
        (found,) = await journalled(client)
        await client.acknowledge(key="a")
        left = await journalled(client)

    assert [
        "key 'a' of the journal; tasks that may be it: none"
    ] == first.value.__notes__
    assert (ItemState.UNKNOWN, None, ()) == (found.state, found.task, found.candidates)
    assert ([], 1) == (left, world.submissions)


async def test_what_was_given_up_is_not_submitted_again(
    world: World, path: Path
) -> None:
    """The key of a submit that was acknowledged without a task stays taken."""
    lose(world, "oml-v1", "answer")
    async with client_of(world, path, "oml-v1") as client:
        with pytest.raises(SubmitOutcomeUnknown):
            await client.submit("work", given(), key="a")
        await client.acknowledge(key="a")
        with pytest.raises(InvalidState, match="'a' was acknowledged without a task"):
            await client.submit("work", given(), key="a")

    assert 1 == world.submissions


@pytest.mark.parametrize("service", ["aimms", "oml-v2"])
async def test_task_of_another_client_is_not_adopted(
    world: World, path: Path, service: str
) -> None:
    """What a client submitted that is closed is not taken for a lost submit."""
    async with connect(service, world.transport) as other:
        await other.submit("work", given(7))
    lose(world, service, "request")
    async with client_of(world, path, service) as client:
        result = await client.run("work", given(), key="a")

    assert (given(), {}, 2) == (result, world.twice, world.submissions)


async def test_candidates_are_given(world: World, path: Path) -> None:
    """Of two tasks that may be it, neither is taken; both are told."""
    async with (
        connect("aimms", world.transport) as other,
        client_of(world, path) as client,
    ):
        await client.acknowledge(await client.submit("work", given(1), key="before"))
        stranger = await other.submit("work", given(7))
        lose(world, "aimms", "answer")
        with pytest.raises(SubmitOutcomeUnknown):
            await client.submit("work", given(), key="a")
        (found,) = await journalled(client)
        results = [await each.result() for each in found.candidates]

    assert stranger.id in {each.id for each in found.candidates}
    assert given() in results


async def test_service_that_never_has_it(world: World, path: Path) -> None:
    """What is not accepted time and again is told, and can be tried later."""
    lose(world, "aimms", "request", times=3)
    async with client_of(world, path) as client:
        with pytest.raises(SubmitOutcomeUnknown):
            await client.submit("work", given(), key="a")
        (found,) = await journalled(client)
        task = await client.submit("work", given(), key="a")

    assert (ItemState.WAITING, None) == (found.state, found.task)
    assert (1, [task.id]) == (
        world.submissions,
        [each.task_id for each in entries(path)],
    )


async def test_stream_is_not_sent_twice(world: World, path: Path) -> None:
    """A content that can be read once only is not submitted again."""

    async def stream() -> AsyncIterator[bytes]:
        yield b"1"

    world.simulator.faults.add(Fault(drop="request"), method="POST", path="echo")
    async with client_of(world, path) as client:
        with pytest.raises(SubmitOutcomeUnknown):
            await client.submit("echo", content=stream())

    assert ([ItemState.WAITING], 0) == (states(path), world.submissions)


async def test_list_that_cannot_be_had_decides_nothing(
    world: World, path: Path
) -> None:
    """Nothing more is sent until it is known what became of a lost submit."""
    lose(world, "aimms", "answer")
    world.simulator.faults.add(Fault(), method="GET", path="tasks/?$")
    refused = Fault(response=Response(401))
    world.simulator.faults.add(refused, times=99, method="GET", path="tasks/?$")
    async with client_of(world, path) as client:
        with pytest.raises(SubmitOutcomeUnknown) as lost:
            await client.submit("work", given(1), key="a")
        with pytest.raises(AuthenticationFailed):
            await client.submit("work", given(2), key="b")
        with pytest.raises(InvalidState, match="'a' is not known yet"):
            await client.acknowledge(key="a")
        world.simulator.faults.clear()
        second = await client.submit("work", given(2), key="b")
        first = await client.submit("work", given(1), key="a")
        results = [await first.result(), await second.result()]

    assert isinstance(lost.value.__cause__, AuthenticationFailed)
    assert ([given(1), given(2)], 2) == (results, world.submissions)


async def test_outage_is_bounded(world: World, path: Path) -> None:
    """A submit waits for an outage no longer than for a list that lags."""
    lose(world, "aimms", "answer")
    broken = Fault(response=Response(503))
    world.simulator.faults.add(broken, times=999, method="GET", path="tasks/?$")
    async with client_of(world, path, retry=NO_RETRY) as client:
        async with asyncio.timeout(20):
            with pytest.raises(SubmitOutcomeUnknown) as lost:
                await client.submit("work", given(1), key="a")

    assert isinstance(lost.value.__cause__, ServiceBroken)
    assert [ItemState.INTENDED] == states(path)


async def test_refused_submit_may_be_made_again(world: World, path: Path) -> None:
    """What the service refuses is noted, and its key can be used again."""
    world.simulator.faults.add(
        Fault(response=Response(500)), method="POST", path="work"
    )
    async with client_of(world, path, retry=NO_RETRY) as client:
        with pytest.raises(ServiceBroken):
            await client.submit("work", given(), key="a")
        refused = states(path)
        none = await journalled(client)
        await client.submit("work", given(), key="a")

    assert ([ItemState.FAILED], []) == (refused, none)
    assert (2, 1) == (entries(path)[0].attempts, world.submissions)


# --- the journal -------------------------------------------------------------


async def test_journal_of_another_is_refused(world: World, path: Path) -> None:
    """While a batch, or another client, has the journal, nothing is sent."""
    async with (
        connect("aimms", world.transport) as other,
        BatchSubmitter(other, path),
        client_of(world, path) as client,
    ):
        with pytest.raises(JournalLocked):
            await client.submit("work", given())
    async with client_of(world, path) as closed:
        pass
    with pytest.raises(InvalidState, match="client is closed"):
        await closed.submit("work", given())

    assert 0 == world.submissions


async def test_journal_can_be_used_when_it_is_free(world: World, path: Path) -> None:
    """A client that could not open its journal tries again with the next submit."""
    async with client_of(world, path) as client:
        async with await Journal.open(path):
            with pytest.raises(JournalLocked):
                await client.submit("work", given())
        await client.submit("work", given())

    assert 1 == world.submissions


async def test_journal_of_another_service_is_refused(world: World, path: Path) -> None:
    """A journal is about one service, version and application."""

    def cloud(app: str) -> AimmsClient:
        return AimmsClient.cloud(
            "acme",
            app=app,
            version="1",
            api_key="k",
            transport=world.transport,
            journal=path,
        )

    async with cloud("A") as client:
        await client.submit("work", given())
    async with cloud("B") as client:
        with pytest.raises(JournalError, match="belongs to the application A 1"):
            await client.submit("work", given())
    async with client_of(world, path, "oml-v2") as oml:
        with pytest.raises(JournalError, match="belongs to"):
            await oml.submit("work", given())

    assert 1 == world.submissions


async def test_client_with_a_journal_has_no_views(world: World, path: Path) -> None:
    """Another view would look for a lost submit in another list."""
    async with client_of(world, path) as client:
        with pytest.raises(InvalidState, match="no views"):
            client.with_auth(api_key("theirs"))


async def test_batches_need_another_client(world: World, path: Path) -> None:
    """Where the list alone tells, a batch's tasks could be taken for lost ones."""
    async with client_of(world, path) as client:
        with pytest.raises(InvalidState, match="another client for the batch"):
            client.map("work", [given()])
    async with client_of(world, path, "desp") as desp:
        items = await collect(desp.map("work", [given()]))

    assert ([True], []) == ([item.ok for item in items], seen(path))


async def test_batch_goes_on_with_a_clients_journal(world: World, path: Path) -> None:
    """A batch on the journal fetches the results of what was submitted."""
    async with client_of(world, path) as client:
        for number in range(2):
            await client.submit("work", given(number), key=f"k{number}")
        await client.acknowledge(key="k0")
    async with (
        connect("aimms", world.transport) as client,
        BatchSubmitter(client, path, resume=True) as submitter,
    ):
        batch = submitter.map(
            "work", [given(0), given(1)], key=lambda each: f"k{each['x']}"
        )
        items = await collect(batch)

    assert [given(0), given(1)] == sorted((item.result for item in items), key=str)
    assert 2 == world.submissions


class Full(Transport):
    """Makes the journal unusable when a task was started."""

    def __init__(self, transport: Transport, path: Path) -> None:
        self._transport = transport
        self._path = path

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        answer = await self._transport.send(
            request, timeout=timeout, max_bytes=max_bytes
        )
        if request.method == "POST":
            await asyncio.to_thread(self._steal)
        return answer

    def open(self, request: Request, *, timeout: float, idle: float) -> Any:
        return self._transport.open(request, timeout=timeout, idle=idle)

    async def aclose(self) -> None:
        pass

    def _steal(self) -> None:
        import sqlite3  # noqa: PLC0415

        connection = sqlite3.connect(self._path)
        with connection:
            connection.execute("UPDATE lock SET owner = 'another'")
        connection.close()


async def test_task_is_not_lost_with_the_journal(
    world: World, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A task that cannot be written down is returned; nothing more is submitted."""
    full = Full(world.transport, path)
    async with connect("aimms", full, journal=path) as client:
        task = await client.submit("work", given())
        result = await task.result()
        with pytest.raises(JournalLocked):
            await client.submit("work", given())

    assert (given(), 1) == (result, world.submissions)
    assert "cannot be written down: " in caplog.text
    assert [ItemState.INTENDED] == states(path)


# --- concurrency, cancellation, closing --------------------------------------


@pytest.mark.parametrize(
    ("service", "together"), [("aimms", False), ("desp", True), ("oml-v1", True)]
)
async def test_submits_overlap_where_they_can_be_told_apart(
    world: World, path: Path, service: str, *, together: bool
) -> None:
    """Only where the list alone can settle a lost answer, they go one by one."""
    under_way = most = 0

    class Counting(Transport):
        async def send(
            self, request: Request, *, timeout: float, max_bytes: int
        ) -> Response:
            nonlocal under_way, most
            launch = request.method == "POST" and LAUNCH[service] in request.url
            under_way += launch
            most = max(most, under_way)
            await asyncio.sleep(0.002)
            answer = await world.transport.send(
                request, timeout=timeout, max_bytes=max_bytes
            )
            under_way -= launch
            return answer

        def open(self, request: Request, *, timeout: float, idle: float) -> Any:
            return world.transport.open(request, timeout=timeout, idle=idle)

        async def aclose(self) -> None:
            pass

    async with connect(service, Counting(), journal=path) as client:
        submits = (client.submit("work", given(n)) for n in range(8))
        await asyncio.gather(*submits)

    assert together is (most > 1)
    assert (8, [ItemState.SUBMITTED] * 8) == (world.submissions, states(path))


@pytest.mark.parametrize("service", SERVICES)
async def test_cancelled_submit_is_in_the_journal(tmp_path: Path, service: str) -> None:
    """Cancelled at any moment, it was not sent, or it is found under its key."""
    for moment in range(0, 60, 3):
        world = World()
        path = tmp_path / f"{moment}.db"
        async with client_of(world, path, service) as client:
            lost = asyncio.create_task(client.submit("work", given(), key="a"))
            for _ in range(moment):
                await asyncio.sleep(0.0005 if moment > 30 else 0)
            lost.cancel()
            with suppress(asyncio.CancelledError):
                await lost
            again = await client.submit("work", given(), key="a")
            state = await end(again)

        assert ("ended", 1) == (state, world.submissions)
        await world.transport.aclose()


async def test_waiting_submit_is_not_sent_when_it_is_cancelled(
    world: World, path: Path
) -> None:
    """Who gives up before the turn came has nothing sent."""
    world.simulator.faults.add(Fault(delay=0.1), method="POST", path="work")
    async with client_of(world, path) as client:
        first = asyncio.create_task(client.submit("work", given(1)))
        second = asyncio.create_task(client.submit("work", given(2)))
        await asyncio.sleep(0.05)
        second.cancel()
        await first
        with pytest.raises(asyncio.CancelledError):
            await second

    assert ([ItemState.SUBMITTED], 1) == (states(path), world.submissions)


@pytest.mark.parametrize("delay", [0.05, 60.0])
async def test_closing_waits_for_what_is_sent(
    world: World, path: Path, delay: float
) -> None:
    """A submit under way comes to its end, within bounds; the next run finds it."""
    world.simulator.faults.add(Fault(delay=delay), method="POST", path="work")
    client = connect("aimms", world.transport, journal=path, grace=GRACE)
    sent = asyncio.create_task(client.submit("work", given(1), key="a"))
    waiting = asyncio.create_task(client.submit("work", given(2), key="b"))
    async with asyncio.timeout(5):
        async for _ in beats():
            if any(asked.method == "POST" for asked in world.transport.requests):
                break
    await client.close()
    outcomes = await asyncio.gather(sent, waiting, return_exceptions=True)
    async with client_of(world, path) as again:
        found = await again.submit("work", given(1), key="a")

    assert isinstance(outcomes[1], InvalidState)
    assert isinstance(outcomes[0], InvalidState) is (delay > 1)
    assert (1, [found.id]) == (
        world.submissions,
        [each.task_id for each in entries(path)],
    )


# --- deaths ------------------------------------------------------------------


async def submit_three(client: TaskClient) -> None:
    for number in range(3):
        await client.submit("work", given(number), key=f"k{number}")


async def die(world: World, service: str, folder: Path, at: int) -> tuple[Path, bool]:
    """Submit three tasks until a moment; return the journal of then."""
    left = folder / "left"
    await asyncio.to_thread(left.mkdir, parents=True)

    def copy() -> None:
        for file in folder.glob("tasks.db*"):
            shutil.copy(file, left)

    transport = Dying(world.transport, at, copy)
    client = connect(service, transport, journal=folder / "tasks.db")
    running = asyncio.create_task(submit_three(client))
    dead = asyncio.create_task(transport.dead.wait())
    await asyncio.wait([running, dead], return_when=asyncio.FIRST_COMPLETED)
    dead.cancel()
    lived = running.done()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    for task in list(client._submits._flights):  # type: ignore[union-attr]
        task.cancel()
    await client.close()
    async for _ in beats():
        if not writers():
            break
    return (folder if lived else left) / "tasks.db", lived


@pytest.mark.parametrize("service", SERVICES)
async def test_death_at_every_moment(service: str, tmp_path: Path) -> None:
    """Whenever it dies: what was accepted is found again, and nothing runs twice."""
    at, lived, unknown = 1, False, 0
    while not lived:
        world = World()
        path, lived = await die(world, service, tmp_path / str(at), at)
        accepted = world.submissions
        async with client_of(world, path, service) as client:
            found = await journalled(client)
            tasks = sum(each.task is not None for each in found)
            unsure = sum(each.state is ItemState.UNKNOWN for each in found)
            if unsure:
                with pytest.raises(SubmitOutcomeUnknown):
                    await submit_three(client)
            else:
                await submit_three(client)

        assert {} == world.twice
        assert tasks <= accepted <= tasks + unsure
        assert unsure or 3 == world.submissions
        unknown += unsure
        await world.transport.aclose()
        at += 1

    # One version of one service lets nobody find out what became of a submit.
    assert (service == "oml-v1") == (unknown > 0)
