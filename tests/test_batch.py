"""Batches as users see them: items, limits, order, closing, journals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
import gc
from pathlib import Path
import tracemalloc
from typing import Any, NoReturn

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.batch import Batch, BatchItem, BatchSubmitter
from asynctasks.exceptions import (
    AuthenticationFailed,
    InvalidArgument,
    InvalidState,
    JournalError,
    JournalLocked,
    PatienceExceeded,
    RecordedError,
    ServiceBroken,
    SubmitOutcomeUnknown,
    TaskCancelled,
    TaskFailed,
)
from asynctasks.journal import Journal
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.ledger import ItemState
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskState
from asynctasks.server.faults import Fault
from asynctasks.transport import Transport
from tests.batches import POLL, World, collect, connect
from tests.faults.cancel_at import CancelAt


virtual = pytest.mark.virtual_time

EVERY_SECOND = PollPolicy(
    wait_initial=1.0, wait_max=1.0, wait_exp_base=1.0, wait_jitter=0.0
)

DONE, FAILED, UNKNOWN = ItemState.SUCCEEDED, ItemState.FAILED, ItemState.UNKNOWN


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.transport.aclose()


@pytest.fixture
async def client(
    world: World, request: pytest.FixtureRequest
) -> AsyncIterator[AimmsClient]:
    virtual = request.node.get_closest_marker("virtual_time") is not None
    poll = EVERY_SECOND if virtual else POLL
    async with AimmsClient.local(transport=world.transport, poll=poll) as made:
        yield made


def inputs(count: int, **facts: Any) -> Iterator[dict[str, Any]]:
    return ({"x": number, **facts} for number in range(count))


async def take(batch: Batch, items: list[BatchItem]) -> None:
    """Take items until there is an error or an end."""
    async for item in batch:
        items.append(item)  # noqa: PERF401 - what came before the error counts


async def let_run(batch: Batch, seconds: float) -> None:
    """Let a batch run for a while, in which no item ends."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await anext(batch)


# --- items -------------------------------------------------------------------


@virtual
async def test_every_input_gives_an_item(client: AimmsClient) -> None:
    """Each input comes back with its index, its result and its handle."""
    items = await collect(client.map("work", inputs(20), limit=4))
    items.sort(key=lambda item: item.index)

    assert [{"x": n} for n in range(20)] == [item.outcome for item in items]
    assert list(inputs(20)) == [item.input for item in items]
    assert [str(n) for n in range(20)] == [item.key for item in items]
    assert {DONE} == {item.state for item in items}
    assert all(item.handle and item.handle.token == item.token for item in items)


@virtual
async def test_items_come_as_they_end(client: AimmsClient) -> None:
    """The quick ones do not wait for the slow one before them."""
    given = [{"x": 0, "seconds": 60}, {"x": 1}, {"x": 2}]
    items = await collect(client.map("work", given))

    assert 0 == items[-1].index


@virtual
async def test_order_can_be_kept(client: AimmsClient) -> None:
    """With ordered=True the items come in the order of the inputs."""
    given = [{"x": n, "seconds": 7 * n % 5} for n in range(30)]
    items = await collect(client.map("work", given, limit=7, ordered=True))

    assert list(range(30)) == [item.index for item in items]


@virtual
async def test_keys_are_the_callers(client: AimmsClient) -> None:
    """A function may name the inputs."""
    batch = client.map("work", inputs(3), key=lambda given: f"case-{given['x']}")

    assert {"case-0", "case-1", "case-2"} == {item.key for item in await collect(batch)}


@virtual
async def test_times_are_in_order(client: AimmsClient) -> None:
    """An item knows when it was submitted, accepted, ended and fetched."""
    (item,) = await collect(client.map("work", [{"x": 0, "seconds": 100}]))
    times = item.timings
    passed = (times.fetched or 0) - (times.submitted or 0)

    assert 100 <= passed < 101
    assert times.submitted is not None
    assert times.ended is not None
    assert None is not times.queued


@virtual
async def test_no_inputs_give_no_items(client: AimmsClient) -> None:
    """An empty batch ends at once."""
    assert [] == await collect(client.map("work", []))


# --- limits ------------------------------------------------------------------


@virtual
@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_limit_is_kept_and_used(
    client: AimmsClient, world: World, limit: int
) -> None:
    """Never more remote tasks than the limit, and no fewer while there are inputs."""
    await collect(client.map("work", inputs(30, seconds=10), limit=limit))

    assert limit == world.most
    assert 30 == world.submissions


@virtual
async def test_inputs_are_read_when_there_is_room(
    client: AimmsClient, world: World
) -> None:
    """A consumer who takes nothing gets no more submitted than two limits' worth."""
    read = 0

    def source() -> Iterator[dict[str, Any]]:
        nonlocal read
        for given in inputs(1000):
            read += 1
            yield given

    batch = client.map("work", source(), limit=5)
    await anext(batch)
    await asyncio.sleep(3600)

    assert read <= 11
    assert world.submissions <= 11
    await batch.aclose()


@virtual
@pytest.mark.parametrize("ordered", [False, True])
async def test_slow_head_holds_back_the_rest(
    client: AimmsClient, world: World, ordered: bool
) -> None:
    """Where the first item is awaited, the ends behind it are bounded too."""
    given = [{"x": 0, "seconds": 1000}, *({"x": n} for n in range(1, 200))]
    batch = client.map("work", given, limit=5, ordered=ordered)
    first = await anext(batch)
    rest = await collect(batch)

    assert 199 == len(rest)
    assert (0 == first.index) is ordered
    assert world.most <= 5


class Forgetful(Transport):
    """Accepts everything, has always ended it already, and remembers nothing."""

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        body = b'{"id":"t","state":"completed"}'
        return Response(200, Headers({"Content-Type": "application/json"}), body)

    def open(self, request: Request, *, timeout: float, idle: float) -> NoReturn:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


async def test_memory_is_constant() -> None:
    """Many times the inputs need no more memory, but for ids that are remembered."""

    async def peak(count: int) -> int:
        async with AimmsClient.local(transport=Forgetful()) as each:
            gc.collect()
            tracemalloc.start()
            async for item in each.map("work", inputs(count), limit=20):
                assert item.ok, item
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return most

    await peak(50)
    few = await peak(200)
    many = await peak(3000)

    # The client keeps the ids of the last tasks, up to 10,000.
    assert many - few < 2800 * 100


# --- failures ----------------------------------------------------------------


@virtual
async def test_failures_are_items(client: AimmsClient) -> None:
    """A task that fails is an item with the error; the others go on."""
    given = [{"x": 0}, {"x": 1, "fail": 9}, {"x": 2}]
    items = await collect(client.map("work", given, ordered=True))
    failed = items[1]

    assert [DONE, FAILED, DONE] == [item.state for item in items]
    assert isinstance(failed.outcome, TaskFailed)
    assert failed.failure is not None
    assert ("TaskFailed", str(failed.error)) == (
        failed.failure.kind,
        failed.failure.text,
    )


@virtual
async def test_refused_inputs_are_items(client: AimmsClient, world: World) -> None:
    """What cannot be sent, or is refused, concerns its own item only."""
    given = [{"x": 0}, {"x": object()}, {"x": 2}]
    items = await collect(client.map("work", given, ordered=True))

    assert [DONE, FAILED, DONE] == [item.state for item in items]
    assert isinstance(items[1].error, InvalidArgument)
    assert (None, "") == (items[1].handle, items[1].token)
    assert 2 == world.submissions


@virtual
async def test_first_error_can_end_the_batch(client: AimmsClient, world: World) -> None:
    """With on_error="raise" the first failure is raised, and names its item."""
    given = [{"x": 0, "fail": 1}, *({"x": n, "seconds": 50} for n in range(1, 100))]
    batch = client.map("work", given, limit=3, on_error="raise")
    with pytest.raises(TaskFailed) as caught:
        await collect(batch)

    assert ["item 0 of the batch, key '0'"] == caught.value.__notes__
    assert world.submissions <= 4
    assert 2 <= len(await batch.aclose()) or world.submissions <= 3


@virtual
async def test_failed_items_are_tried_again(client: AimmsClient, world: World) -> None:
    """retry_failed=n submits a failed item up to n more times."""
    given = [{"x": 0, "fail": 2}, {"x": 1, "fail": 9}]
    items = await collect(client.map("work", given, retry_failed=2, ordered=True))

    assert [DONE, FAILED] == [item.state for item in items]
    assert [3, 3] == [item.attempts for item in items]
    assert [("TaskFailed", "TaskFailed")] * 2 == [item.retries for item in items]
    assert 6 == world.submissions


@virtual
async def test_limit_holds_for_retries_too(client: AimmsClient, world: World) -> None:
    """An item that is tried again waits for its turn."""
    given = inputs(12, fail=1, seconds=3)
    items = await collect(client.map("work", given, limit=2, retry_failed=1))

    assert (12, 24, 2) == (len(items), world.submissions, world.most)


@virtual
async def test_cancelled_tasks_are_not_tried_again(client: AimmsClient) -> None:
    """What somebody ended on purpose stays ended."""
    batch = client.map("work", [{"x": 0, "seconds": 1e6}], retry_failed=3)
    taking = asyncio.create_task(collect(batch))
    await asyncio.sleep(60)
    rows = await client.select("tasks")
    await client.cancel(rows[0]["id"])
    (item,) = await taking

    assert isinstance(item.error, TaskCancelled)
    assert 1 == item.attempts


@virtual
async def test_impatience_leaves_the_task(client: AimmsClient, world: World) -> None:
    """After its timeout an item says that the task goes on, and can be found."""
    given = [{"x": 0, "seconds": 100}]
    (item,) = await collect(client.map("work", given, timeout=10))

    assert ItemState.SUBMITTED is item.state
    assert isinstance(item.error, PatienceExceeded)
    assert item.handle is not None
    assert {"x": 0} == await item.handle.result()
    assert 1 == world.submissions


@virtual
async def test_impatience_can_cancel(client: AimmsClient) -> None:
    """With on_timeout="cancel_remote" the task is ended."""
    given = [{"x": 0, "seconds": 1e6}]
    batch = client.map("work", given, timeout=10, on_timeout="cancel_remote")
    (item,) = await collect(batch)

    assert item.handle is not None
    assert (await item.handle.wait()).done


@virtual
async def test_unavailable_service_is_waited_for(
    client: AimmsClient, world: World
) -> None:
    """What the service cannot take now is not failed, but put off."""
    busy = Response(503, body=b"busy")
    world.simulator.faults.answer(busy, times=30, method="POST")
    items = await collect(client.map("work", inputs(5), limit=5))

    assert [(DONE, 1)] * 5 == [(item.state, item.attempts) for item in items]


@virtual
async def test_unavailable_service_is_not_waited_for_ever(world: World) -> None:
    """Beyond the client's patience an item fails with the reason."""
    world.simulator.faults.answer(Response(503), times=10**6, method="POST")
    options = {"transport": world.transport, "patience": 100.0}
    async with AimmsClient.local(**options) as client:
        (item,) = await collect(client.map("work", inputs(1)))

    assert FAILED is item.state
    assert isinstance(item.error, ServiceBroken)


@virtual
async def test_refused_credentials_end_the_batch(
    client: AimmsClient, world: World
) -> None:
    """What every item would meet is raised once, after what is open has ended."""
    batch = client.map("work", inputs(1000, seconds=5), limit=3)
    got = [await anext(batch)]
    world.simulator.faults.answer(Response(401), times=100, method="POST")
    with pytest.raises(AuthenticationFailed):
        await take(batch, got)
    with pytest.raises(StopAsyncIteration):
        await anext(batch)

    assert len(got) == world.submissions
    assert {DONE} == {item.state for item in got}


@virtual
async def test_lost_answer_is_an_unknown_item(
    client: AimmsClient, world: World
) -> None:
    """Without a journal a lost answer is told; the item is not submitted again."""
    world.simulator.faults.lose_answer()
    items = await collect(client.map("work", inputs(3), limit=1, ordered=True))

    assert [UNKNOWN, DONE, DONE] == [item.state for item in items]
    assert isinstance(items[0].error, SubmitOutcomeUnknown)
    assert {1} == set(world.simulator.submissions.values())


@virtual
async def test_errors_of_the_inputs_are_raised(client: AimmsClient) -> None:
    """An iterable that raises ends the batch with its error, after what is open."""

    def source() -> Iterator[dict[str, Any]]:
        yield {"x": 0}
        raise KeyError("broken")

    batch = client.map("work", source())
    item = await anext(batch)
    with pytest.raises(KeyError, match="broken"):
        await anext(batch)

    assert item.ok


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": True}, "limit"),
        ({"retry_failed": -1}, "retry_failed"),
        ({"on_error": "ignore"}, "on_error"),
        ({"on_cancel": "maybe"}, "on_cancel"),
        ({"on_timeout": "maybe"}, "on_timeout"),
        ({"decode": "xml"}, "decode"),
        ({"schedule_every": 5}, "schedule_every"),
    ],
)
async def test_wrong_terms_are_refused_at_once(
    client: AimmsClient, options: dict[str, Any], name: str
) -> None:
    """A mistake is told where it is made, not at the first item."""
    with pytest.raises(InvalidArgument) as caught:
        client.map("work", [], **options)

    assert name == caught.value.name


# --- adding ------------------------------------------------------------------


@virtual
async def test_inputs_can_be_added(client: AimmsClient) -> None:
    """What an item leads to is added while the batch runs, even by the last one."""
    batch = client.map("work", [{"x": 0}], ordered=True)
    seen = []
    async for item in batch:
        seen.append(item.index)
        if item.index < 3:
            batch.add([{"x": item.index + 1}])

    assert [0, 1, 2, 3] == seen


@virtual
async def test_ended_batch_takes_no_inputs(client: AimmsClient) -> None:
    """After its end, or its close, a batch is over."""
    ended, closed = client.map("work", []), client.map("work", [])
    await collect(ended)
    await closed.aclose()
    for batch in (ended, closed):
        with pytest.raises(InvalidState, match="over"):
            batch.add([1])


# --- closing -----------------------------------------------------------------


@virtual
async def test_close_returns_what_runs(client: AimmsClient, world: World) -> None:
    """Closing early stops submitting, leaves tasks alone and returns their tokens."""
    async with client.map("work", inputs(100, seconds=50), limit=4) as batch:
        await let_run(batch, 10)
        tokens = await batch.aclose()

    assert (4, 4) == (len(set(tokens)), world.submissions)
    results = [await client.handle(token).result() for token in tokens]
    assert [{"x": n} for n in range(4)] == sorted(results, key=lambda each: each["x"])
    assert 4 == world.submissions


@virtual
async def test_close_can_cancel(client: AimmsClient, world: World) -> None:
    """With on_cancel="cancel_remote" closing ends the tasks."""
    given = inputs(100, seconds=1e6)
    batch = client.map("work", given, limit=4, on_cancel="cancel_remote")
    await let_run(batch, 10)
    tokens = await batch.aclose()
    await asyncio.sleep(1)

    assert ([], 4, 0) == (tokens, world.submissions, world.open)


@virtual
async def test_close_tries_no_submit_again(client: AimmsClient, world: World) -> None:
    """A submit under way comes to its end; one that is put off is not said again."""
    later = Response(503, Headers({"Retry-After": "100"}))
    world.simulator.faults.add(Fault(response=later, delay=2), times=99, method="POST")
    batch = client.map("work", inputs(5), limit=5)
    taking = asyncio.ensure_future(anext(batch))
    await asyncio.sleep(1)
    begun = asyncio.get_running_loop().time()
    await batch.aclose()
    took = asyncio.get_running_loop().time() - begun
    await asyncio.gather(taking, return_exceptions=True)

    assert took < 50
    assert 0 == world.submissions


@virtual
async def test_dropped_batch_stops(client: AimmsClient, world: World) -> None:
    """A loop that is left by break submits nothing more."""
    async for _ in client.map("work", inputs(1000, seconds=1), limit=3):
        break
    gc.collect()
    await asyncio.sleep(100)

    assert world.submissions <= 7
    assert [] == [t for t in asyncio.all_tasks() if t.get_name() == "asynctasks-item"]


@virtual
async def test_closed_client_ends_the_batch(world: World) -> None:
    """Closing the client is told; the tokens of what runs are in the items."""
    client = AimmsClient.local(transport=world.transport, poll=POLL)
    batch = client.map("work", inputs(10, seconds=50), limit=2)
    taking = asyncio.ensure_future(anext(batch))
    await asyncio.sleep(5)
    await client.close()
    items = [await taking]
    with pytest.raises(InvalidState, match="closed"):
        await take(batch, items)

    assert [ItemState.SUBMITTED] * 2 == [item.state for item in items]
    assert all(item.token for item in items)


@virtual
async def test_waiting_for_an_item_can_be_given_up(client: AimmsClient) -> None:
    """A consumer with a timeout of its own loses no item."""
    batch = client.map("work", inputs(3, seconds=10), limit=1)
    items: list[BatchItem] = []
    while len(items) < 3:
        try:
            async with asyncio.timeout(1):
                items.append(await anext(batch))
        except TimeoutError:
            continue

    assert [0, 1, 2] == [item.index for item in items]


async def test_cancel_at_every_await(tmp_path: Path) -> None:
    """Cancelled at each await of a journalled batch, it can be resumed without loss."""
    given = [{"x": str(n)} for n in range(3)]
    at = 1
    while True:
        world = World()
        path = tmp_path / f"{at}.db"

        async def run(path: Path = path, world: World = world) -> None:
            async with (
                connect("aimms", world.transport) as client,
                BatchSubmitter(client, path, resume=True, grace=0.02) as submitter,
                submitter.map("work", given, limit=2) as batch,
            ):
                await collect(batch)

        attempt = CancelAt(at)
        try:
            await attempt.run(run())
        except asyncio.CancelledError:
            assert attempt.cancelled
        await run()

        assert {} == world.twice
        assert 3 == world.submissions
        await world.transport.aclose()
        if not attempt.cancelled:
            return
        at += 3


# --- with a journal ----------------------------------------------------------


async def test_journal_has_it_all(
    client: AimmsClient, world: World, tmp_path: Path
) -> None:
    """What became of each item is on the disk before it is given."""
    path = tmp_path / "run.db"
    async with BatchSubmitter(client, path) as submitter:
        async for item in submitter.map("work", inputs(10), limit=3):
            with Journal.read(path) as reader:
                found = {each.key: each for each in reader.items(DONE)}

            assert item.ok
            assert item.token == found[item.key].token


async def test_changed_input_is_a_new_item(client: AimmsClient, tmp_path: Path) -> None:
    """Without keys, a changed input is another item; the old one is not forgotten."""
    path = tmp_path / "run.db"
    async with BatchSubmitter(client, path) as submitter:
        await collect(submitter.map("work", [{"x": 1}, {"x": 2}]))
    async with BatchSubmitter(client, path, resume=True) as submitter:
        items = await collect(submitter.map("work", [{"x": 1}, {"x": 3}]))
        unseen = await submitter.count_unseen()

    assert [True, False] == sorted((item.recorded for item in items), reverse=True)
    assert 1 == unseen


async def test_changed_input_of_a_key_is_refused(
    client: AimmsClient, world: World, tmp_path: Path
) -> None:
    """With keys, an input that was changed since is noticed."""
    path = tmp_path / "run.db"
    keys = {"key": lambda given: given["name"]}
    async with BatchSubmitter(client, path) as submitter:
        await collect(submitter.map("work", [{"x": 1, "name": "a"}], **keys))
    async with BatchSubmitter(client, path, resume=True) as submitter:
        with pytest.raises(JournalError, match="another input: it was changed"):
            await collect(submitter.map("work", [{"x": 2, "name": "a"}], **keys))

    assert 1 == world.submissions


async def test_equal_keys_are_refused(
    client: AimmsClient, world: World, tmp_path: Path
) -> None:
    """Two inputs cannot have one key; the second is an item that failed."""
    async with BatchSubmitter(client, tmp_path / "run.db") as submitter:
        given = [{"x": 1}, {"x": 2}]
        batch = submitter.map("work", given, key=lambda _: "same", ordered=True)
        items = await collect(batch)

    assert [DONE, FAILED] == sorted((i.state for i in items), key=lambda s: s is FAILED)
    assert 1 == world.submissions


async def test_equal_inputs_are_all_done(
    client: AimmsClient, world: World, tmp_path: Path
) -> None:
    """The same input several times is run so many times, once over all runs."""
    path = tmp_path / "run.db"
    for resume in (False, True):
        async with BatchSubmitter(client, path, resume=resume) as submitter:
            items = await collect(submitter.map("work", [{"x": 1}] * 5))

            assert (5, 5) == (len({item.key for item in items}), world.submissions)


async def test_failures_are_tried_again_after_resuming(
    client: AimmsClient, world: World, tmp_path: Path
) -> None:
    """A failed item of an earlier run has the retries that it is now given."""
    path = tmp_path / "run.db"
    given = [{"x": 1, "fail": 1}]
    async with BatchSubmitter(client, path) as submitter:
        (first,) = await collect(submitter.map("work", given))
    async with BatchSubmitter(client, path, resume=True) as submitter:
        (second,) = await collect(submitter.map("work", given))
    async with BatchSubmitter(client, path, resume=True) as submitter:
        (third,) = await collect(submitter.map("work", given, retry_failed=1))

    assert [FAILED, FAILED, DONE] == [first.state, second.state, third.state]
    assert [False, True, False] == [first.recorded, second.recorded, third.recorded]
    assert (type(first.error), str(first.error)) == (
        type(second.error),
        str(second.error),
    )
    assert (2, ("TaskFailed",)) == (world.submissions, third.retries)


async def test_recorded_refusals_keep_their_words(
    client: AimmsClient, world: World, tmp_path: Path
) -> None:
    """An error without a task comes again as what was written down of it."""
    path = tmp_path / "run.db"
    world.simulator.faults.answer(Response(422, body=b"no such thing"), method="POST")
    async with BatchSubmitter(client, path) as submitter:
        (first,) = await collect(submitter.map("work", [{"x": 1}]))
    async with BatchSubmitter(client, path, resume=True) as submitter:
        (second,) = await collect(submitter.map("work", [{"x": 1}]))

    assert isinstance(second.error, RecordedError)
    assert first.failure == second.failure
    assert f"{type(first.error).__name__}: {first.error}" == str(second.error)


async def test_large_results_are_files(
    client: AimmsClient, world: World, tmp_path: Path
) -> None:
    """A result beyond the limit is a file beside the journal; it is found again."""
    path = tmp_path / "run.db"
    world.simulator.service("big", lambda given: {"text": "x" * given["size"]})
    given = [{"size": 10}, {"size": 5000}]
    for resume in (False, True):
        async with BatchSubmitter(client, path, resume=resume, inline=1000) as each:
            small, large = await collect(each.map("big", given, ordered=True))

        assert {"text": "x" * 10} == small.result
        assert (None, None) == (small.stored, large.result)
        assert large.stored is not None
        assert tmp_path / "run.db.results" == large.stored.parent.resolve()
        assert b'{"text":"xx' == large.stored.read_bytes()[:11]
        assert [{"text": "x" * each["size"]} for each in given] == [
            await small.load(),
            await large.load(),
        ]
        assert large.stored.read_bytes() == await large.load("bytes")
        assert [large.stored] == list(large.stored.parent.iterdir())


async def test_results_beyond_memory_are_streamed(world: World, tmp_path: Path) -> None:
    """A result that may not be read into memory goes straight to its file."""
    world.simulator.service("big", lambda _: b"x" * 5000)
    async with (
        AimmsClient.local(
            transport=world.transport, poll=POLL, max_response_bytes=2000
        ) as client,
        BatchSubmitter(client, tmp_path / "run.db", results=tmp_path / "out") as each,
    ):
        (item,) = await collect(each.map("big", [{}]))

    assert item.stored is not None
    assert b"x" * 5000 == item.stored.read_bytes() == await item.load()


async def test_cleaned_up_tasks_are_safe_first(world: World, tmp_path: Path) -> None:
    """With cleanup="delete" a task is removed once its result is in the journal."""
    path = tmp_path / "run.db"
    async with (
        AimmsClient.local(
            transport=world.transport, poll=POLL, cleanup="delete"
        ) as client,
        BatchSubmitter(client, path) as submitter,
    ):
        items = await collect(submitter.map("work", inputs(3)))

    assert [DONE] * 3 == [item.state for item in items]
    assert [] == list(world.simulator.tasks("aimms"))


async def test_cancelled_items_are_done_again(
    client: AimmsClient, world: World, tmp_path: Path
) -> None:
    """An item whose task was ended by closing is as if it had never been submitted."""
    path = tmp_path / "run.db"
    given = [{"x": 1, "seconds": 0.3}]
    async with BatchSubmitter(client, path) as submitter:
        batch = submitter.map("work", given, on_cancel="cancel_remote")
        await let_run(batch, 0.1)
        left = await batch.aclose()
    with Journal.read(path) as reader:
        states = [each.state for each in reader.items()]
    async with BatchSubmitter(client, path, resume=True) as submitter:
        (item,) = await collect(submitter.map("work", given))

    assert ([], [ItemState.WAITING], DONE) == (left, states, item.state)


async def test_other_service_name_is_noticed(
    client: AimmsClient, world: World, tmp_path: Path
) -> None:
    """The items of one service are not taken for those of another."""
    path = tmp_path / "run.db"
    async with BatchSubmitter(client, path) as submitter:
        await collect(submitter.map("work", [{"x": 1}]))
    async with BatchSubmitter(client, path, resume=True) as submitter:
        with pytest.raises(JournalError, match="another service"):
            await collect(submitter.map("echo", [{"x": 1}]))


async def test_journal_is_locked_while_in_use(
    client: AimmsClient, tmp_path: Path
) -> None:
    """Two submitters cannot have one journal."""
    path = tmp_path / "run.db"
    async with BatchSubmitter(client, path):
        with pytest.raises(JournalLocked):
            async with BatchSubmitter(client, path, resume=True):
                pass


async def test_submitter_must_be_entered(client: AimmsClient, tmp_path: Path) -> None:
    """Without its journal open, a submitter has no batches."""
    with pytest.raises(InvalidState, match="enter the submitter"):
        BatchSubmitter(client, tmp_path / "run.db").map("work", [])


@pytest.mark.parametrize(
    "options",
    [
        {"on_unknown": "retry"},
        {"grace": -1},
        {"grace": float("inf")},
        {"grace": "5"},
        {"submits": 0},
        {"submits": "2"},
    ],
    ids=str,
)
async def test_wrong_options_are_refused(
    client: AimmsClient, tmp_path: Path, options: dict[str, Any]
) -> None:
    """A mistake is told before any file is made."""
    (name,) = options
    with pytest.raises(InvalidArgument, match=f"^{name}="):
        BatchSubmitter(client, tmp_path / "run.db", **options)

    assert [] == list(tmp_path.iterdir())  # noqa: ASYNC240


async def test_batches_end_with_their_submitter(
    client: AimmsClient, world: World, tmp_path: Path
) -> None:
    """Leaving the submitter closes its batches before its journal."""
    path = tmp_path / "run.db"
    kept: Batch
    async with BatchSubmitter(client, path) as submitter:
        kept = submitter.map("work", inputs(100, seconds=9), limit=3)
        await let_run(kept, 0.1)
    with Journal.read(path) as reader:
        states = [each.state for each in reader.items()]

    assert [ItemState.SUBMITTED] * 3 == states
    assert 3 == world.submissions
    with pytest.raises(StopAsyncIteration):
        await anext(kept)


def test_states_are_told_apart_from_tasks() -> None:
    """An item's states are its own: a task may have ended whose item has not."""
    assert TaskState.SUCCEEDED.value == DONE.value
    assert not isinstance(DONE, TaskState)
