"""The asyncio shell, without a network; mostly on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
import json
import logging
import threading
from typing import Any

import pytest

from asynctasks.exceptions import ConnectionLost, InvalidState
from asynctasks.sansio.http import Headers, JoinedBody, Request, Response
from asynctasks.server.aimms.service import AimmsService
from asynctasks.server.connection import Connection
from asynctasks.server.context import TaskContext
from asynctasks.server.faults import Fault
from asynctasks.server.half import Awaited
from asynctasks.server.live import Calculated, Item, Storage
from asynctasks.server.simulator import Simulator
from asynctasks.server.tasks import Changed, Interrupt, Order
from asynctasks.server.vantiq.service import VantiqService
from asynctasks.server.worker import GRACE, Worker
from tests.server.vantiq.worlds import make_world
from tests.server.worlds import NOW, count_ids


HOUR = 3600.0


class Site:
    """A worker with the AIMMS half, and the hooks that it called."""

    def __init__(self, *, parallel: int = 1) -> None:
        self.called: list[str] = []
        self.simulator = Simulator(parallel=parallel, new_id=count_ids().__next__)
        self.worker = Worker(
            self.simulator,
            AimmsService(self.simulator),
            send=self.send,
            clock=lambda: NOW,
        )

    async def send(self, request: Request) -> None:
        """Take the call of a hook; it takes a while."""
        await asyncio.sleep(0.01)
        self.called.append(request.url.partition("task_state=")[2].partition("&")[0])

    async def ask(self, method: str, url: str, body: Any = b"", **headers: str) -> Any:
        """Ask and return the JSON answer."""
        request = Request(method, url, Headers(headers), body)
        response = await self.worker.handle(request)
        return response.json() if response.body else None

    async def submit(self, url: str, body: Any = b"", **headers: str) -> str:
        """Submit in the cloud's v2 and return the id."""
        base = "/pro-api/v2/tasks/App/1.0"
        answer = await self.ask("POST", f"{base}/{url}", body, **headers)
        task_id: str = answer["id"]
        return task_id

    async def poll(self, task_id: str) -> Any:
        """Return the status of a task."""
        return await self.ask("GET", f"/pro-api/v2/tasks/{task_id}")

    async def state(self, task_id: str) -> str:
        """Return the word of a task."""
        answer: dict[str, str] = await self.poll(task_id)
        return answer["state"]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Give a worker, with a service that takes an hour."""
    site = Site()

    async def hour(inputs: Any) -> Any:
        await asyncio.sleep(HOUR)
        return inputs

    site.simulator.service("hour", hour)
    yield site
    await site.worker.aclose()


@pytest.mark.virtual_time
async def test_queue(site: Site) -> None:
    """One task runs after the other; the times are those of the loop."""
    tasks = [await site.submit("hour") for _ in range(2)]
    await asyncio.sleep(1.5 * HOUR)
    states = [await site.state(task) for task in tasks]
    await asyncio.sleep(HOUR)
    second = await site.poll(tasks[1])

    assert ["completed", "running"] == states
    assert ("2023-11-23 15:16:38.000000", HOUR, HOUR) == (
        second["createdAt"],
        round(second["queueTime"], 3),
        round(second["runTime"], 3),
    )


@pytest.mark.virtual_time
async def test_schedule(site: Site) -> None:
    """A scheduled task starts when it is due, with nobody asking."""
    task = await site.submit("hour?scheduleIn=1%20day")
    await asyncio.sleep(24 * HOUR - 1)
    before = await site.state(task)
    await asyncio.sleep(2)

    assert ("queued", "running") == (before, await site.state(task))


@pytest.mark.virtual_time
async def test_recurrence(site: Site) -> None:
    """A recurring task runs at its interval until the last run is deleted."""
    task = await site.submit("hour?scheduleInterval=P1D")
    await asyncio.sleep(2 * 24 * HOUR + 2 * HOUR)
    last = await site.poll(task)
    await site.ask("DELETE", f"/pro-api/v2/tasks/{task}")
    await asyncio.sleep(10 * 24 * HOUR)
    rows = (await site.ask("GET", "/pro-api/v2/tasks"))["current_batch"]

    assert (3, "queued", "2023-11-26 15:16:38.000000") == (
        last["groupIndex"],
        last["state"],
        last["scheduleFor"],
    )
    assert [(i, "completed") for i in range(3)] == [
        (row["groupIndex"], row["state"]) for row in rows
    ]


@pytest.mark.virtual_time
async def test_hooks(site: Site) -> None:
    """The hook hears of every change, in order."""

    async def solve(inputs: Any, context: TaskContext) -> None:
        with context.solving():
            await asyncio.sleep(1)

    site.simulator.service("solve", solve)
    await site.submit("solve", taskStateHook="http://127.0.0.1:9/")
    await asyncio.sleep(2)

    assert ["assigned", "running", "solving", "running", "completed"] == site.called


async def test_hook_fails(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A hook that cannot be called is logged once a change, without its query."""

    async def broken(request: Request) -> None:
        raise OSError("refused")

    site.worker._messenger._send = broken
    hook = "http://127.0.0.1:9/?secret=1"
    with caplog.at_level(logging.WARNING, "asynctasks.server"):
        await site.submit("hour", taskStateHook=hook)
        await asyncio.sleep(0.01)

    assert 2 == len(caplog.messages)
    assert "secret" not in caplog.text


async def test_reports(site: Site) -> None:
    """Progress, status and log lines of a function end up in its task."""

    async def solve(inputs: Any, context: TaskContext) -> None:
        context.progress(0.5, "half")
        context.publish({"gap": 1})
        context.log("hello")

    site.simulator.service("solve", solve)
    task = site.simulator.task("aimms-cloud", await site.submit("solve"))
    await asyncio.sleep(0.01)

    assert task is not None
    assert (0.5, "half", (b'{"gap":1}', "application/json"), ["hello"]) == (
        task.progress,
        task.progress_message,
        task.published,
        [line for _, line in task.log],
    )


@pytest.mark.virtual_time
async def test_interrupt(site: Site) -> None:
    """An interrupted task ends and gives its place to the next."""
    first, second = [await site.submit("hour") for _ in range(2)]
    body = b'{"setstatus": "interrupt-execution"}'
    await site.ask("PUT", f"/pro-api/v2/tasks/{first}", body)
    await asyncio.sleep(1)

    assert ["failed", "running"] == [await site.state(t) for t in (first, second)]


async def test_loop_is_free(site: Site) -> None:
    """A function that blocks does not keep others from being answered."""
    release = threading.Event()
    site.simulator.service("block", lambda _: release.wait(20))
    task = await site.submit("block")
    state = await site.state(task)
    release.set()

    assert "running" == state


async def test_aclose(site: Site) -> None:
    """Closing ends functions of every kind, and nothing is answered any more."""

    def listen(inputs: Any, context: TaskContext) -> None:
        while not context.cancelled:
            threading.Event().wait(0.001)

    site.simulator.parallel = 2
    site.simulator.service("listen", listen)
    threads = set(threading.enumerate())
    hook = "http://127.0.0.1:9/"
    tasks = [await site.submit(name, taskStateHook=hook) for name in ("hour", "listen")]
    await site.submit("hour?scheduleIn=1%20day")
    await site.worker.aclose()
    await site.worker.aclose()

    started = set(threading.enumerate()) - threads
    for each in started:
        await asyncio.to_thread(each.join, 20)

    assert ["task-1", "task-2"] == tasks
    assert not any(each.is_alive() for each in started)
    with pytest.raises(InvalidState):
        await site.state(tasks[0])


@pytest.mark.virtual_time
async def test_aclose_is_bounded(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Functions that heed nothing are left behind after a moment, and named."""
    release = threading.Event()

    async def deaf(inputs: Any) -> None:
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(HOUR)

    site.simulator.parallel = 2
    site.simulator.service("deaf", deaf)
    site.simulator.service("block", lambda _: release.wait(20))
    for name in ("deaf", "block"):
        await site.submit(name)
    await asyncio.sleep(1)
    start = asyncio.get_running_loop().time()
    await site.worker.aclose()
    passed = asyncio.get_running_loop().time() - start
    release.set()

    assert 2 * GRACE >= passed
    assert ["task task-1 (deaf) did not end", "task task-2 (block) did not end"] == (
        caplog.messages
    )


async def test_body_is_read(site: Site) -> None:
    """A body in pieces, some of them streamed, is read to its end."""

    class Stream:
        length = None
        replayable = False

        async def open(self) -> AsyncIterator[bytes]:
            yield b"[1"
            yield b"]"

    site.simulator.service("echo", lambda inputs: inputs)
    task = await site.submit("echo", JoinedBody((b" ", Stream())))
    await asyncio.sleep(0.05)
    answer = await site.ask("GET", f"/pro-api/v2/tasks/{task}/response")

    assert [1] == answer


async def test_fault_answer(site: Site) -> None:
    """A fault answers instead of the protocol."""
    site.simulator.faults.answer(Response(429))
    response = await site.worker.handle(Request("GET", "/api/v2/tasks"))

    assert 429 == response.status


@pytest.mark.parametrize(("drop", "expected"), [("request", 0), ("answer", 1)])
async def test_fault_drop(site: Site, drop: Any, expected: int) -> None:
    """A dropped request never arrives; a dropped answer belongs to one that did."""
    site.simulator.faults.add(Fault(drop=drop))
    with pytest.raises(ConnectionLost):
        await site.submit("hour")

    assert expected == site.simulator.submissions.total()


@pytest.mark.virtual_time
async def test_delays(site: Site) -> None:
    """Answers are delayed by faults and by the echo."""
    site.simulator.faults.add(Fault(delay=5.0))
    loop = asyncio.get_running_loop()
    start = loop.time()
    await site.worker.handle(Request("GET", "/api/v2/echo?delay=2000"))

    assert 7.0 == round(loop.time() - start, 3)


async def test_unknown_path(site: Site) -> None:
    """What no protocol knows is 404."""
    response = await site.worker.handle(Request("GET", "/nope"))

    assert 404 == response.status


class Unsaid(AimmsService):
    """A half that cannot say what changed."""

    def notices(self, change: Changed) -> Sequence[Request]:
        raise LookupError("oops")


class Counting(AimmsService):
    """A half that counts the tasks that have ended."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator)
        self.left = 3
        self.all_ended = asyncio.Event()

    def notices(self, change: Changed) -> Sequence[Request]:
        self.left -= change.state.ended
        if not self.left:
            self.all_ended.set()
        return ()


async def test_half_without_notices(caplog: pytest.LogCaptureFixture) -> None:
    """A half that cannot say what changed keeps no task from running to its end."""
    simulator = Simulator(parallel=2, new_id=count_ids().__next__)
    simulator.service("echo", lambda inputs: inputs)
    counting = Counting(simulator)
    worker = Worker(simulator, Unsaid(simulator), counting)
    for _ in range(3):
        await worker.handle(Request("POST", "/api/v2/tasks/echo"))
    await asyncio.wait_for(counting.all_ended.wait(), 20)
    await worker.aclose()

    assert "oops" in caplog.text


async def test_broken_answers(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours while an answer is being made later is 500, too."""

    def fail() -> Response:
        raise LookupError("oops")

    async def fail_later() -> Response:
        return fail()

    class Late:
        def handle(self, request: Request, now: float) -> Response | None:
            if request.path == "/calculated":
                return Calculated(200, answer=fail_later)
            task = simulator.submit(Order(service="echo"), now)
            return Awaited(200, task=task, answer=fail, limit=20.0)

        def notices(self, change: Changed) -> Sequence[Request]:
            return ()

    simulator = Simulator(new_id=count_ids().__next__)
    simulator.service("echo", lambda inputs: inputs)
    worker = Worker(simulator, Late())
    found = [
        (await worker.handle(Request("GET", path))).status
        for path in ("/calculated", "/awaited")
    ]
    await worker.aclose()

    assert [500, 500] == found
    assert 2 == caplog.text.count("broke the server")


async def test_broken_half(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours is 500, and is logged."""

    class Broken:
        def handle(self, request: Request, now: float) -> Response | None:
            raise LookupError("oops")

        def notices(self, change: Changed) -> Sequence[Request]:
            return ()

    worker = Worker(Simulator(new_id=count_ids().__next__), Broken())
    response = await worker.handle(Request("GET", "/"))
    await worker.aclose()

    assert 500 == response.status
    assert "oops" in caplog.text


async def test_nobody_to_send() -> None:
    """Without a way to send them, notices are dropped."""
    simulator = Simulator(new_id=count_ids().__next__)
    simulator.service("echo", lambda inputs: inputs)
    worker = Worker(simulator, AimmsService(simulator))
    headers = Headers({"taskStateHook": "http://127.0.0.1:9/"})
    url = "/pro-api/v2/tasks/App/1.0/echo"
    response = await worker.handle(Request("POST", url, headers))
    await worker.aclose()

    assert 200 == response.status


async def test_stale_stop(site: Site) -> None:
    """An interrupt of a run that another worker had does no harm."""
    task = site.simulator.submit(Order(service="hour"), NOW)
    site.simulator.advance(NOW)
    site.simulator.interrupt(task, Interrupt.SOLVE, NOW)
    site.worker.advance()

    assert not site.worker._runs


class Waiting:
    """A half whose answer waits for the end of its task."""

    def __init__(self, simulator: Simulator, limit: float) -> None:
        self.simulator = simulator
        self.limit = limit

    def handle(self, request: Request, now: float) -> Response:
        """Submit, and let the answer wait."""
        task = self.simulator.submit(Order(service=request.path[1:]), now)
        return Awaited(
            200,
            task=task,
            answer=lambda: Response(200, body=task.state.value.encode()),
            limit=self.limit,
        )

    def notices(self, change: Changed) -> Sequence[Request]:
        """Call nobody."""
        del change
        return ()


def waiting(site: Site, limit: float = 2 * HOUR) -> Worker:
    """Return a worker of the site's world, whose answers wait."""
    return Worker(site.simulator, Waiting(site.simulator, limit), clock=lambda: NOW)


@pytest.mark.virtual_time
async def test_answer_that_waits_for_a_task(site: Site) -> None:
    """An answer is given when its task has ended."""
    worker = waiting(site)
    begun = asyncio.get_running_loop().time()
    answer = await worker.handle(Request("GET", "/hour"))

    assert b"completed" == answer.body
    assert HOUR == pytest.approx(asyncio.get_running_loop().time() - begun)
    await worker.aclose()


@pytest.mark.virtual_time
async def test_answer_that_waits_for_too_long(site: Site) -> None:
    """After its time the connection is cut; the task goes on."""
    worker = waiting(site, limit=60.0)
    with pytest.raises(ConnectionLost, match="after 60 s"):
        await worker.handle(Request("GET", "/hour"))

    (task,) = site.simulator.tasks("")
    assert not task.state.ended
    await worker.aclose()


@pytest.mark.virtual_time
async def test_close_while_an_answer_waits(site: Site) -> None:
    """An answer that waits when the worker is closed is a lost connection."""
    worker = waiting(site)
    asked = [
        asyncio.create_task(worker.handle(Request("GET", "/hour"))) for _ in range(2)
    ]
    await asyncio.sleep(1)
    await worker.aclose()

    for each in asked:
        with pytest.raises(ConnectionLost, match="closed"):
            await each


# --- halves that speak first -------------------------------------------------

SOCKET = Request("GET", "/api/v1/wsock/websocket")


class Full:
    """A storage without room."""

    def read(self) -> Sequence[Item]:
        return []

    def write(self, items: Iterable[Item]) -> None:
        raise OSError("no space left")

    def close(self) -> None:
        pass


class Vantiq:
    """A worker with the Vantiq half."""

    def __init__(self, storage: Storage | None = None) -> None:
        self.simulator = Simulator(new_id=count_ids().__next__)
        self.world = make_world()
        half = VantiqService(self.world)
        self.worker = Worker(self.simulator, half, clock=lambda: NOW, storage=storage)

    def connect(self) -> Connection:
        """Open a socket that is authenticated."""
        connection = self.worker.connect(SOCKET)
        assert isinstance(connection, Connection)
        frame = '{"op":"validate","object":"1234accessToken"}'
        self.worker.receive(connection, frame)
        return connection

    async def ask(self, method: str, path: str, body: bytes = b"") -> Response:
        headers = Headers({"Authorization": "Bearer 1234accessToken"})
        url = f"/api/v1/resources/{path}"
        return await self.worker.handle(Request(method, url, headers, body))


@pytest.mark.virtual_time
async def test_socket() -> None:
    """What a socket is told is due when the clock says so."""
    vantiq = Vantiq()
    connection = vantiq.connect()
    frame = '{"op":"subscribe","resourceName":"events","resourceId":"/topics/t"}'
    vantiq.worker.receive(connection, frame)
    vantiq.world.delay_events(HOUR)
    await vantiq.ask("POST", "topics//t", b"7")
    frames = connection.outgoing()
    start = asyncio.get_running_loop().time()
    found = [json.loads(await anext(frames))["body"] for _ in range(3)]
    passed = asyncio.get_running_loop().time() - start
    vantiq.worker.disconnect(connection)
    await vantiq.worker.aclose()

    assert ([{}, {}, 7], HOUR) == ([*found[:2], found[2]["value"]], round(passed, 3))


async def test_refused_sockets() -> None:
    """There is no socket elsewhere; faults and a closed server refuse, too."""
    vantiq = Vantiq()
    elsewhere = vantiq.worker.connect(Request("GET", "/elsewhere"))
    vantiq.simulator.faults.answer(Response(503))
    failed = vantiq.worker.connect(SOCKET)
    vantiq.simulator.faults.add(Fault(drop="request"))
    with pytest.raises(ConnectionLost):
        vantiq.worker.connect(SOCKET)
    await vantiq.worker.aclose()
    with pytest.raises(InvalidState):
        vantiq.worker.connect(SOCKET)
    vantiq.worker.wake()

    assert isinstance(elsewhere, Response)
    assert (404, Response(503)) == (elsewhere.status, failed)


async def test_calculated_answers() -> None:
    """Answers that come later, or piece by piece, are whole in memory."""
    vantiq = Vantiq()
    vantiq.world.procedure("count")(range)
    found = [
        (await vantiq.ask("POST", f"procedures/count{query}", b"[3]")).json()
        for query in ("", "?stream=true")
    ]
    await vantiq.worker.aclose()

    assert [[0, 1, 2], [0, 1, 2]] == found


async def test_unstorable_change() -> None:
    """A change that cannot be stored is not answered as if it were."""
    vantiq = Vantiq(Full())
    response = await vantiq.ask("POST", "topics", b'{"name": "/t"}')
    vantiq.world.store.kept.storing = False
    with suppress(OSError):
        await vantiq.worker.aclose()

    assert 500 == response.status
