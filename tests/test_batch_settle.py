"""Lost answers: adopted, submitted again, or told, but never submitted twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.batch import BatchItem, BatchSubmitter
from asynctasks.batch_book import AGAIN, JournalBook
from asynctasks.batch_remote import Remote
from asynctasks.batch_settle import note_baseline, settle
from asynctasks.client import TaskClient
from asynctasks.exceptions import (
    AsyncTasksError,
    AuthenticationFailed,
    ConnectError,
    ConnectionLost,
    SubmitOutcomeUnknown,
    UnsupportedOperation,
)
from asynctasks.journal import Journal
from asynctasks.sansio.aimms import AimmsDialect
from asynctasks.sansio.auth import NoAuth
from asynctasks.sansio.dialect import Capabilities, Launched, Prepared, Reconcile
from asynctasks.sansio.http import Flow, Request, Response
from asynctasks.sansio.ledger import Entry, ItemState, Timings
from asynctasks.sansio.reconcile import Baseline, Lost
from asynctasks.sansio.retry import NO_RETRY, RetryPolicy
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.server.faults import Fault
from asynctasks.transport import Transport
from tests.batches import POLL, SERVICES, World, collect, connect


DONE, UNKNOWN = ItemState.SUCCEEDED, ItemState.UNKNOWN

LAUNCH = {"aimms": "work", "desp": "launch", "oml-v1": "work", "oml-v2": "work"}
"""What is in the path of the request that starts a task."""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.transport.aclose()


def given(count: int) -> list[dict[str, Any]]:
    return [{"x": str(number)} for number in range(count)]


@asynccontextmanager
async def submitter(
    world: World, path: Path, service: str = "aimms", **options: Any
) -> AsyncIterator[BatchSubmitter]:
    async with (
        connect(service, world.transport) as client,
        BatchSubmitter(client, path / "run.db", grace=0.05, **options) as made,
    ):
        yield made


def show_what_was_before(world: World) -> None:
    """Let the list be read once, before the first submit."""
    world.simulator.faults.add(Fault(), method="GET", path="tasks/?$")


def states(items: list[BatchItem]) -> list[ItemState]:
    return [item.state for item in items]


@pytest.mark.parametrize("service", SERVICES)
async def test_accepted_task_is_found(
    world: World, tmp_path: Path, service: str
) -> None:
    """A task whose acceptance got lost is adopted, where the service lets us look."""
    fault = Fault(drop="answer")
    world.simulator.faults.add(fault, method="POST", path=LAUNCH[service])
    async with submitter(world, tmp_path, service) as made:
        items = await collect(made.map("work", given(3), limit=1, ordered=True))
    expected = UNKNOWN if service == "oml-v1" else DONE

    assert [expected, DONE, DONE] == states(items)
    assert ({}, 3) == (world.twice, world.submissions)


@pytest.mark.parametrize("service", SERVICES)
async def test_refused_task_is_submitted_again(
    world: World, tmp_path: Path, service: str
) -> None:
    """A task that is not to be found after the grace was not accepted."""
    fault = Fault(drop="request")
    world.simulator.faults.add(fault, method="POST", path=LAUNCH[service])
    async with submitter(world, tmp_path, service) as made:
        items = await collect(made.map("work", given(3), limit=1, ordered=True))
    unknown = service == "oml-v1"

    assert [UNKNOWN if unknown else DONE, DONE, DONE] == states(items)
    assert ({}, 2 if unknown else 3) == (world.twice, world.submissions)
    assert [1, 1, 1] == [item.attempts for item in items]


async def test_every_second_answer_is_lost(world: World, tmp_path: Path) -> None:
    """However many answers get lost, every item is run once."""
    for drop in ("answer", "request") * 5:
        fault = Fault(drop=drop)
        world.simulator.faults.add(Fault(), method="POST", path="work")
        world.simulator.faults.add(fault, method="POST", path="work")
    async with submitter(world, tmp_path) as made:
        items = await collect(made.map("work", given(20), limit=5))

    assert [DONE] * 20 == states(items)
    assert ({}, 20) == (world.twice, world.submissions)


async def test_strangers_make_it_unknown(world: World, tmp_path: Path) -> None:
    """Of two tasks that may be it, neither is taken: both are told."""
    drops = [Fault(drop="answer")] * 2
    for fault in drops:
        world.simulator.faults.add(fault, method="POST", path="work")
    async with connect("aimms", world.transport) as stranger:
        async with submitter(world, tmp_path, submits=2) as made:
            items = await collect(made.map("work", given(2), limit=2))
        ids = {row["id"] for row in await stranger.select("tasks")}

    assert [UNKNOWN, UNKNOWN] == states(items)
    assert all(set(item.candidates) <= ids for item in items)
    assert all(item.candidates for item in items)
    assert all(isinstance(item.error, SubmitOutcomeUnknown) for item in items)
    assert 2 == world.submissions


async def test_one_of_two_lost_together_is_not_submitted_twice(
    world: World, tmp_path: Path
) -> None:
    """A task that may be of either item is told with both, and neither runs again."""
    for drop in ("request", "answer"):
        world.simulator.faults.add(Fault(drop=drop), method="POST", path="work")
    async with submitter(world, tmp_path, submits=2) as made:
        items = await collect(made.map("work", given(2), limit=2))

    assert [UNKNOWN, UNKNOWN] == states(items)
    assert items[0].candidates == items[1].candidates
    assert (1, 1) == (world.submissions, len(items[0].candidates))


async def test_two_lost_together_are_not_there(world: World, tmp_path: Path) -> None:
    """Where nothing at all is found, both are submitted again."""
    for _ in range(2):
        world.simulator.faults.add(Fault(drop="request"), method="POST", path="work")
    async with submitter(world, tmp_path, submits=2) as made:
        items = await collect(made.map("work", given(2), limit=2))

    assert [DONE, DONE] == states(items)
    assert ({}, 2) == (world.twice, world.submissions)


async def test_only_lost_one_of_many_is_found(world: World, tmp_path: Path) -> None:
    """With several submits at a time, one whose answer alone is lost is adopted."""
    for drop in ("answer", "request"):
        for _ in range(4):
            world.simulator.faults.add(Fault(), method="POST", path="work")
        world.simulator.faults.add(Fault(drop=drop), method="POST", path="work")
    async with submitter(world, tmp_path, submits=4) as made:
        items = await collect(made.map("work", given(20), limit=20))

    assert [DONE] * 20 == states(items)
    assert ({}, 20) == (world.twice, world.submissions)


async def test_contested_task_is_neither_taken_nor_overlooked(
    world: World, tmp_path: Path
) -> None:
    """What may be of an unknown item leaves a later lost one unknown, too."""
    for drop in ("answer", "answer", "request"):
        world.simulator.faults.add(Fault(drop=drop), method="POST", path="work")
    async with submitter(world, tmp_path, submits=2) as made:
        items = await collect(made.map("work", given(3), limit=2, ordered=True))

    assert [UNKNOWN] * 3 == states(items)
    assert ({}, 2) == (world.twice, world.submissions)


async def test_unknown_item_comes_again(world: World, tmp_path: Path) -> None:
    """An unknown item stays so in the next run, until the user decides."""
    world.simulator.faults.add(Fault(drop="answer"), method="POST", path="work")
    async with submitter(world, tmp_path, "oml-v1") as made:
        (first,) = await collect(made.map("work", given(1)))
    async with submitter(world, tmp_path, "oml-v1", resume=True) as made:
        (second,) = await collect(made.map("work", given(1)))
    options = {"resume": True, "on_unknown": "resubmit"}
    async with submitter(world, tmp_path, "oml-v1", **options) as made:
        (third,) = await collect(made.map("work", given(1)))

    assert [UNKNOWN, UNKNOWN, DONE] == states([first, second, third])
    assert (True, first.failure) == (second.recorded, second.failure)
    assert (2, 2) == (world.submissions, third.attempts)


async def test_unknown_item_can_end_the_batch(world: World, tmp_path: Path) -> None:
    """With on_unknown="raise" the batch ends, and names the item."""
    world.simulator.faults.add(Fault(drop="answer"), method="POST", path="work")
    async with submitter(world, tmp_path, "oml-v1", on_unknown="raise") as made:
        with pytest.raises(SubmitOutcomeUnknown) as caught:
            await collect(made.map("work", given(5), limit=1))

    assert caught.value.__notes__[0].startswith("item 0 of the batch")
    assert world.submissions <= 2


async def test_list_that_cannot_be_read_leaves_it_unknown(
    world: World, tmp_path: Path
) -> None:
    """Where the list is refused, the item is unknown; the others go on."""
    world.simulator.faults.add(Fault(drop="answer"), method="POST", path="work")
    forbidden = Fault(response=Response(403))
    world.simulator.faults.add(forbidden, times=99, method="GET", path="tasks/?$")
    async with submitter(world, tmp_path) as made:
        items = await collect(made.map("work", given(2), limit=1, ordered=True))

    assert [UNKNOWN, DONE] == states(items)
    assert ({}, 2) == (world.twice, world.submissions)


async def test_outage_is_waited_for(world: World, tmp_path: Path) -> None:
    """While the list cannot be had for a while, nothing is decided."""
    world.simulator.faults.add(Fault(drop="answer"), method="POST", path="work")
    show_what_was_before(world)
    broken = Fault(response=Response(503))
    world.simulator.faults.add(broken, times=11, method="GET", path="tasks/?$")
    retry = RetryPolicy(attempts=10, wait_initial=0.0, wait_jitter=0.0)
    async with (
        connect("aimms", world.transport, retry=retry) as client,
        BatchSubmitter(client, tmp_path / "run.db", grace=0.05) as made,
    ):
        items = await collect(made.map("work", given(2), limit=1, ordered=True))

    assert [DONE, DONE] == states(items)
    assert ({}, 2) == (world.twice, world.submissions)


async def test_refused_credentials_decide_nothing(world: World, tmp_path: Path) -> None:
    """What the credentials keep us from finding out is left to the next run."""
    world.simulator.faults.add(Fault(drop="answer"), method="POST", path="work")
    show_what_was_before(world)
    refused = Fault(response=Response(401))
    world.simulator.faults.add(refused, times=99, method="GET", path="tasks/?$")
    async with submitter(world, tmp_path) as made:
        with pytest.raises(AuthenticationFailed):
            await collect(made.map("work", given(2), limit=1))
    world.simulator.faults.clear()
    async with submitter(world, tmp_path, resume=True) as made:
        items = await collect(made.map("work", given(2), ordered=True))

    assert [DONE, DONE] == states(items)
    assert ({}, 2) == (world.twice, world.submissions)


async def test_success_that_cannot_be_read_is_not_submitted_again(
    world: World, tmp_path: Path
) -> None:
    """What the service said yes to may run, even if its list does not show it."""
    accepted = Fault(response=Response(200, body=b'{"id": 7}'))
    world.simulator.faults.add(accepted, times=99, method="POST", path="work")
    async with submitter(world, tmp_path) as made:
        items = await collect(made.map("work", given(2), limit=1))

    assert [UNKNOWN, UNKNOWN] == states(items)
    assert 2 == posts(world)
    assert all(isinstance(item.error, SubmitOutcomeUnknown) for item in items)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(drop="request"), "ConnectionLost"),
        (Fault(response=Response(504)), "ServiceBroken"),
    ],
    ids=["hangs up", "gateway"],
)
async def test_service_that_loses_everything_is_asked_so_often(
    world: World, tmp_path: Path, fault: Fault, kind: str
) -> None:
    """An item none of whose submits arrives fails, with how the last one was lost."""
    world.simulator.faults.add(fault, times=99, method="POST", path="work")
    async with submitter(world, tmp_path) as made:
        items = await collect(made.map("work", given(2), limit=1))

    assert [ItemState.FAILED] * 2 == states(items)
    assert [kind] * 2 == [type(item.error).__name__ for item in items]
    assert (0, 6) == (world.submissions, posts(world))


async def test_lost_submits_in_a_row_are_counted(world: World, tmp_path: Path) -> None:
    """What was accepted in between begins the count anew."""
    for fault in (Fault(drop="request"), Fault(drop="request"), Fault()) * 2:
        world.simulator.faults.add(fault, method="POST", path="work")
    async with submitter(world, tmp_path) as made:
        batch = made.map("work", [{"x": "1", "fail": 1}], retry_failed=1)
        items = await collect(batch)

    assert [DONE] == states(items)
    assert (2, 6) == (world.submissions, posts(world))


def posts(world: World) -> int:
    """Count the submits that were sent."""
    return sum(each.method == "POST" for each in world.transport.requests)


class Listening(Remote):
    """A service that has nothing, and hears what it is asked."""

    def __init__(self) -> None:
        super().__init__(AimmsClient.local()._desk, prepare=None, start=None)  # type: ignore[arg-type]
        self.asked: list[Lost] = []

    async def find(self, losts: Sequence[Lost]) -> list[list[TaskRef]]:
        self.asked.extend(losts)
        return [[] for _ in losts]


async def test_sleep_of_the_machine_is_counted(tmp_path: Path) -> None:
    """A task that was accepted before this machine slept is not too old to be it."""
    async with await Journal.open(tmp_path / "run.db") as journal:
        book = JournalBook(journal, Reconcile.ORPHANS)
        # The loop's clock stands still meanwhile.
        book._epoch -= 3600
        at = Timings(submitted=book.now())
        entry = Entry(key="k", index=0, state=ItemState.INTENDED, timings=at)
        remote = Listening()
        ((settled, _),) = await settle(
            [entry], book, remote, error=ConnectionLost(""), grace=0.0, alone=True
        )
        slept = asyncio.get_running_loop().time() - remote.asked[0].began

    assert ItemState.WAITING is settled.state
    assert 3600 <= slept < 3610


async def test_task_of_a_blind_doubt_is_nobodys(world: World, tmp_path: Path) -> None:
    """What may be of an item of which nothing could be seen is not another one's."""
    for drop in ("answer", "request"):
        world.simulator.faults.add(Fault(drop=drop), method="POST", path="work")
    show_what_was_before(world)
    forbidden = Fault(response=Response(403))
    world.simulator.faults.add(forbidden, method="GET", path="tasks/?$")
    async with submitter(world, tmp_path) as made:
        items = await collect(made.map("work", given(2), limit=1, ordered=True))

    assert [UNKNOWN, UNKNOWN] == states(items)
    assert ([0, 1], 1) == ([len(each.candidates) for each in items], world.submissions)


# --- keys --------------------------------------------------------------------


@attrs.frozen
class Keyed(AimmsDialect):
    """A service that runs what carries the same key only once."""

    @property
    def capabilities(self) -> Capabilities:
        return attrs.evolve(super().capabilities, reconcile=Reconcile.KEY)

    def launch(self, prepared: Prepared) -> Flow[Launched]:
        key = prepared.options["id"]
        bare = attrs.evolve(prepared, options={})
        flow = super().launch(bare)
        request = next(flow)
        assert isinstance(request, Request)
        try:
            answer = yield request.with_headers({"Idempotency-Key": key})
            flow.send(answer)
        except StopIteration as stop:
            launched: Launched = stop.value
            return launched
        raise AssertionError


class KeyKeeper(Transport):
    """Gives the answer again that it gave to a key before."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.answers: dict[str, Response] = {}
        self.lose = 0

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        key = request.headers.get("Idempotency-Key")
        answer = self.answers.get(key or "")
        if answer is None:
            answer = await self._transport.send(
                request, timeout=timeout, max_bytes=max_bytes
            )
        if key is not None:
            self.answers[key] = answer
            if self.lose:
                self.lose -= 1
                raise ConnectionLost("the answer is lost", request.redacted())
        return answer

    def open(self, request: Request, *, timeout: float, idle: float) -> Any:
        return self._transport.open(request, timeout=timeout, idle=idle)

    async def aclose(self) -> None:
        pass


def connect_keyed(transport: Transport) -> TaskClient:
    dialect = Keyed(**attrs.asdict(AimmsClient.local()._dialect))
    options: Any = {"transport": transport, "poll": POLL}
    return TaskClient(dialect, "http://localhost:8080", NoAuth(), options)


async def test_key_makes_a_repetition_harmless(world: World, tmp_path: Path) -> None:
    """With a key the submit is sent again, and the service runs it once."""
    keeper = KeyKeeper(world.transport)
    keeper.lose = 2
    async with (
        connect_keyed(keeper) as client,
        BatchSubmitter(client, tmp_path / "run.db") as made,
    ):
        items = await collect(made.map("work", given(4), limit=2))

    assert [DONE] * 4 == states(items)
    assert ({}, 4, 4) == (world.twice, world.submissions, len(keeper.answers))


async def test_keys_do_not_help_against_every_loss(
    world: World, tmp_path: Path
) -> None:
    """With a key nobody looks: what was lost again and again may be running."""
    keeper = KeyKeeper(world.transport)
    keeper.lose = 99
    async with (
        connect_keyed(keeper) as client,
        BatchSubmitter(client, tmp_path / "run.db") as made,
    ):
        items = await collect(made.map("work", given(1)))

    assert [UNKNOWN] == states(items)
    assert (1, 3) == (world.submissions, 99 - keeper.lose)


async def test_key_is_new_for_a_new_attempt(world: World, tmp_path: Path) -> None:
    """A retry of a failed item is meant to run again: its key is another."""
    keeper = KeyKeeper(world.transport)
    async with (
        connect_keyed(keeper) as client,
        BatchSubmitter(client, tmp_path / "run.db") as made,
    ):
        batch = made.map("work", [{"x": "1", "fail": 1}], retry_failed=1)
        items = await collect(batch)

    assert [DONE] == states(items)
    assert (2, 2) == (world.submissions, len(keeper.answers))


# --- what was there before ---------------------------------------------------


async def test_task_of_the_same_client_is_not_adopted(
    world: World, tmp_path: Path
) -> None:
    """A single submit right before a batch is not taken for the batch's lost one."""
    async with connect("aimms", world.transport) as client:
        await client.submit("work", {"x": "mine"})
        world.simulator.faults.add(Fault(drop="request"), method="POST", path="work")
        async with BatchSubmitter(client, tmp_path / "run.db", grace=0.05) as made:
            items = await collect(made.map("work", given(1)))

    assert [{"x": "0"}] == [item.result for item in items]
    assert ({}, 2) == (world.twice, world.submissions)


async def test_task_submitted_during_the_batch_is_not_adopted(
    world: World, tmp_path: Path
) -> None:
    """A single submit of the same client between those of a batch is its own."""
    async with (
        connect("aimms", world.transport) as client,
        BatchSubmitter(client, tmp_path / "run.db", grace=0.05) as made,
    ):
        await collect(made.map("work", given(1)))
        await client.submit("work", {"x": "mine"})
        world.simulator.faults.add(Fault(drop="request"), method="POST", path="work")
        (item,) = await collect(made.map("work", [{"x": "lost"}]))

    assert ({"x": "lost"}, {}) == (item.result, world.twice)


@pytest.mark.parametrize("service", ["aimms", "oml-v2"])
async def test_task_of_an_ended_program_is_not_adopted(
    world: World, tmp_path: Path, service: str
) -> None:
    """What somebody else submitted before the batch is not taken for a lost one."""
    async with connect(service, world.transport) as other:
        await other.submit("work", {"x": "theirs"})
    fault = Fault(drop="request")
    world.simulator.faults.add(fault, method="POST", path=LAUNCH[service])
    async with submitter(world, tmp_path, service) as made:
        items = await collect(made.map("work", given(1)))

    assert [{"x": "0"}] == [item.result for item in items]
    assert ({}, 2) == (world.twice, world.submissions)


@pytest.mark.parametrize("status", [403, 500])
async def test_what_was_before_cannot_be_seen(
    world: World, tmp_path: Path, status: int
) -> None:
    """Where nobody knows what was there before, a task is told and not adopted."""
    refused = Fault(response=Response(status))
    world.simulator.faults.add(refused, method="GET", path="tasks/?$")
    world.simulator.faults.add(Fault(drop="answer"), method="POST", path="work")
    async with (
        connect("aimms", world.transport, retry=NO_RETRY) as client,
        BatchSubmitter(client, tmp_path / "run.db", grace=0.05) as made,
    ):
        items = await collect(made.map("work", given(2), limit=1, ordered=True))

    assert [UNKNOWN, DONE] == states(items)
    assert (1, 2) == (len(items[0].candidates), world.submissions)


async def test_list_is_read_once_for_all_submits(world: World, tmp_path: Path) -> None:
    """What was there before is asked for before the first submit, and never again."""
    seen: list[int] = []
    async with submitter(world, tmp_path) as made:
        read = made._remote.list_baseline

        async def count(service: str, began: float) -> Baseline | None:
            seen.append(posts(world))
            return await read(service, began)

        made._remote.list_baseline = count  # type: ignore[method-assign]
        await collect(made.map("work", given(5), limit=2))

    assert ([0], 5) == (seen, posts(world))


class Unreachable(Listening):
    """A service whose list cannot be had at first."""

    def __init__(self, error: AsyncTasksError) -> None:
        super().__init__()
        self.errors = [error]
        self.looks = 0

    async def list_baseline(self, service: str, began: float) -> Baseline | None:
        self.looks += 1
        if self.errors:
            raise self.errors.pop()
        return Baseline(frozenset({"t"}))


async def test_service_out_of_reach_is_asked_again(tmp_path: Path) -> None:
    """Where nobody can be asked, nothing is to be sent; the next submit asks."""
    remote = Unreachable(ConnectError("refused"))
    async with await Journal.open(tmp_path / "run.db") as journal:
        book = JournalBook(journal, Reconcile.ORPHANS)
        with pytest.raises(ConnectError):
            await note_baseline("work", book, remote)
        await asyncio.gather(*(note_baseline("work", book, remote) for _ in range(3)))
        found = await book.baseline("work")

    assert (2, Baseline(frozenset({"t"}))) == (remote.looks, found)


async def test_refused_list_is_read_again_later(tmp_path: Path) -> None:
    """A list that is refused is not asked for with every submit, but once a minute."""
    remote = Unreachable(UnsupportedOperation("a list", "it"))
    async with await Journal.open(tmp_path / "run.db") as journal:
        book = JournalBook(journal, Reconcile.ORPHANS)
        for _ in range(3):
            await note_baseline("work", book, remote)
        looks, unknown = remote.looks, await book.baseline("work")
        book._next_look["work"] -= AGAIN
        await note_baseline("work", book, remote)

    assert (1, None, 2) == (looks, unknown, remote.looks)


async def test_nothing_is_noted_while_intents_are_in_doubt(tmp_path: Path) -> None:
    """What the list shows may be of an intent that is not settled yet."""
    remote = Unreachable(ConnectError("unused"))
    async with await Journal.open(tmp_path / "run.db") as journal:
        book = JournalBook(journal, Reconcile.ORPHANS)
        await journal.put(
            Entry(key="k", index=0, service="work", state=ItemState.INTENDED)
        )
        await note_baseline("work", book, remote)

    assert 0 == remote.looks


async def test_known_task_is_contested_for_an_earlier_run(tmp_path: Path) -> None:
    """A task of this client may be an earlier run's, whose end was not written down."""
    remote = Having("mine")
    async with await Journal.open(tmp_path / "run.db") as journal:
        await journal.note_baseline("", Baseline())
        book = JournalBook(journal, Reconcile.ORPHANS)
        at = Timings(submitted=book.now())
        entry = Entry(key="k", index=0, state=ItemState.INTENDED, timings=at)
        lost = ConnectionLost("")
        ((settled, _),) = await settle(
            [entry], book, remote, error=lost, grace=0.0, alone=True, earlier=True
        )

    assert (UNKNOWN, ("mine",)) == (settled.state, settled.candidates)


class Having(Listening):
    """A service that has one task, which its client submitted."""

    def __init__(self, id: str) -> None:  # noqa: A002 - it is one
        super().__init__()
        self._desk.counts.known.append(id)

    async def find(self, losts: Sequence[Lost]) -> list[list[TaskRef]]:
        refs = [TaskRef(id=each) for each in self._desk.counts.known]
        return [[ref for ref in refs if ref.id not in lost.known] for lost in losts]


async def test_sleep_lets_nothing_old_in(world: World, tmp_path: Path) -> None:
    """What is older than the first look is not it, however long the machine slept."""
    old = TaskRef(id="old")
    since = datetime(2026, 1, 1, tzinfo=UTC)
    async with await Journal.open(tmp_path / "run.db") as journal:
        await journal.note_baseline("", Baseline(frozenset({"young"}), since))
        book = JournalBook(journal, Reconcile.ORPHANS)
        at = Timings(submitted=book.now())
        entry = Entry(key="k", index=0, state=ItemState.INTENDED, timings=at)
        remote = Listening()
        await settle(
            [entry], book, remote, error=ConnectionLost(""), grace=0.0, alone=True
        )
    lost = remote.asked[0]
    status = TaskStatus(
        state=TaskState.RUNNING, created_at=since - timedelta(seconds=1)
    )

    assert not lost.may_be(old, status, None)
    assert {"young"} == lost.known
