"""Spans for OpenTelemetry: one per task, with its parts as children."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import attrs
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanKind, StatusCode
import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.exceptions import PermissionDenied, ResultUnavailable, TaskLost
from asynctasks.hooks import RequestDetails, StatusDetails, SubmitDetails
from asynctasks.integrations import otel
from asynctasks.integrations.otel import OpenTelemetryHook
from asynctasks.sansio.http import Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.testing import MemoryTransport
from tests.canaries import build_world
from tests.every_method import TASK_CLIENTS, Maker
from tests.scripted import Scripted


pytestmark = pytest.mark.virtual_time

EVERY_SECOND = PollPolicy(
    wait_initial=1.0, wait_max=1.0, wait_exp_base=1.0, wait_jitter=0.0
)

RUNNING = TaskStatus(state=TaskState.RUNNING, word="running")

Connect = Callable[..., AimmsClient]


@attrs.frozen
class Tracing:
    """A tracer, and the spans that ended."""

    provider: TracerProvider
    exporter: InMemorySpanExporter

    def hook(self) -> OpenTelemetryHook:
        return OpenTelemetryHook(self.provider.get_tracer("test"))

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The spans that ended, by name; each name must be there once."""
        ended = self.exporter.get_finished_spans()
        spans = {span.name: span for span in ended}

        assert len(ended) == len(spans)
        return spans


@pytest.fixture
def tracing() -> Tracing:
    """Provide a tracer of this test's own."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider, exporter)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Provide a function that makes a client of a scripted service."""
    async with AsyncExitStack() as stack:

        def make(service: Scripted, hook: OpenTelemetryHook) -> AimmsClient:
            client = AimmsClient.local(
                transport=MemoryTransport(service),
                poll=EVERY_SECOND,
                hooks=(hook,),
                trace_context=hook.trace_context,
            )
            stack.push_async_callback(client.close)
            return client

        yield make


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent is not None else None


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_task_is_a_span_with_its_parts_as_children(
    connect: Connect, tracing: Tracing
) -> None:
    """Submit, queue, run and result are children of the task's span."""
    client = connect(
        Scripted(t1=("queued", "running", "running", "completed")), tracing.hook()
    )
    await client.run("solve")
    spans = tracing.spans
    task = spans.pop("task solve")

    assert {"submit", "queue", "run", "result"} == set(spans)
    assert {id_of(task)} == {parent_of(span) for span in spans.values()}
    assert (SpanKind.CLIENT, None) == (task.kind, parent_of(task))
    assert {
        "asynctasks.task_id": "t1",
        "asynctasks.state": "succeeded",
        "asynctasks.word": "completed",
    } == facts(task)
    assert all(span.status.status_code is StatusCode.UNSET for span in spans.values())


async def test_parts_follow_each_other(connect: Connect, tracing: Tracing) -> None:
    """The queue ends where the run begins, and the task with its run."""
    client = connect(Scripted(t1=("running", "completed")), tracing.hook())
    await client.run("solve")
    spans = tracing.spans
    order = ["submit", "queue", "run", "result"]
    begun = [spans[name].start_time for name in order]

    assert sorted(begun, key=lambda at: at or 0) == begun
    assert spans["queue"].end_time == spans["run"].start_time
    assert spans["run"].end_time == spans["task solve"].end_time
    assert spans["submit"].start_time == spans["task solve"].start_time


async def test_task_belongs_to_the_span_that_submits_it(
    connect: Connect, tracing: Tracing
) -> None:
    """Each task is a child of its caller's span, whoever started the watcher."""
    service = Scripted(t1="running", t2=("running", "completed"))
    client = connect(service, tracing.hook())
    tracer = tracing.provider.get_tracer("caller")
    parents = {}
    with tracer.start_as_current_span("one") as one:
        first = await client.submit("first")
        waiting = asyncio.create_task(first.wait())
        parents["task first"] = one.get_span_context().span_id
    with tracer.start_as_current_span("two") as two:
        await client.run("second")
        parents["task second"] = two.get_span_context().span_id
    service.write("GET t1", "completed")
    await waiting
    ended = tracing.exporter.get_finished_spans()

    assert parents == {s.name: parent_of(s) for s in ended if s.name in parents}


async def test_trace_is_continued_by_another_client(
    connect: Connect, tracing: Tracing
) -> None:
    """The token carries the trace to a process that knows nothing else."""
    service = Scripted(t1=("running", "completed"))
    tracer = tracing.provider.get_tracer("caller")
    with tracer.start_as_current_span("caller") as caller:
        task = await connect(service, tracing.hook()).submit("solve")
    tracing.exporter.clear()
    with tracer.start_as_current_span("somebody else"):
        await connect(service, tracing.hook()).handle(task.token).result()
    spans = tracing.spans

    assert {"task solve", "run", "result", "somebody else"} == set(spans)
    assert caller.get_span_context().trace_id == trace_of(spans["task solve"])
    assert caller.get_span_context().span_id == parent_of(spans["task solve"])
    assert trace_of(spans["run"]) == trace_of(spans["task solve"])


async def test_task_without_a_trace_is_nobodys_child(
    connect: Connect, tracing: Tracing
) -> None:
    """The watcher looks in anybody's context: it must not pass for the caller."""
    client = connect(Scripted(t1=("running", "completed")), tracing.hook())
    tracer = tracing.provider.get_tracer("caller")
    with tracer.start_as_current_span("caller"):
        await client.handle("t1").wait()
    tracing_spans = {s.name: s for s in tracing.exporter.get_finished_spans()}

    assert parent_of(tracing_spans["task"]) is None


async def test_refused_submit_is_a_span_that_failed(
    connect: Connect, tracing: Tracing
) -> None:
    """The class of the error is told, not what the service said."""
    service = Scripted()
    service.write("POST solve", Response(403, body=b"you are not allowed"))
    with pytest.raises(PermissionDenied):
        await connect(service, tracing.hook()).submit("solve")
    spans = tracing.spans

    assert {"task solve", "submit"} == set(spans)
    assert {(StatusCode.ERROR, "PermissionDenied")} == {
        (span.status.status_code, span.status.description) for span in spans.values()
    }


async def test_failed_task_is_a_span_that_failed(
    connect: Connect, tracing: Tracing
) -> None:
    """A task that fails is an error of its span, and has no result."""
    client = connect(Scripted(t1=("running", "failed")), tracing.hook())
    await (await client.submit("solve")).wait()
    spans = tracing.spans

    assert {"task solve", "submit", "queue", "run"} == set(spans)
    assert StatusCode.ERROR is spans["task solve"].status.status_code
    assert "failed" == facts(spans["task solve"])["asynctasks.state"]


async def test_lost_task_is_a_span_that_failed(
    connect: Connect, tracing: Tracing
) -> None:
    """That nothing more will be known ends the span."""
    client = connect(Scripted(t1=("running", Response(404))), tracing.hook())
    task = await client.submit("solve")
    with pytest.raises(TaskLost):
        await task.wait()

    assert "TaskLost" == tracing.spans["task solve"].status.description


async def test_result_that_is_not_there_fails_its_part(
    connect: Connect, tracing: Tracing
) -> None:
    """The task itself went well."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", Response(404))
    with pytest.raises(ResultUnavailable):
        await connect(service, tracing.hook()).run("solve")
    spans = tracing.spans

    assert StatusCode.ERROR is spans["result"].status.status_code
    assert StatusCode.UNSET is spans["task solve"].status.status_code


async def test_same_ids_of_two_services_are_two_tasks(tracing: Tracing) -> None:
    """One hook may serve several clients."""
    hook = tracing.hook()
    ref = TaskRef(id="1", service="solve")
    for token in ("of one", "of another"):
        hook(SubmitDetails(service="solve", seconds=1, task=ref, token=token))

    assert 2 == len(hook._open)


async def test_result_alone_makes_its_own_span(
    connect: Connect, tracing: Tracing
) -> None:
    """A result that is fetched a second time is another span, of the same trace."""
    client = connect(Scripted(t1="completed"), tracing.hook())
    task = await client.submit("solve")
    await task.result()
    tracing.exporter.clear()
    await task.result()

    assert {"task solve", "result"} == set(tracing.spans)


def test_tasks_that_are_remembered_are_bounded(
    tracing: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is ended, whatever part it was in."""
    monkeypatch.setattr(otel, "OPEN", 1)
    hook = tracing.hook()
    for number in range(2):
        ref = TaskRef(id=str(number), service=f"s{number}")
        hook(
            SubmitDetails(
                service="s", seconds=0, task=ref, token=str(number), status=RUNNING
            )
        )
    names = sorted(span.name for span in tracing.exporter.get_finished_spans())

    assert ["run", "submit", "submit", "task s0"] == names


async def test_task_that_ended_is_kept_by_its_name_only(
    connect: Connect, tracing: Tracing
) -> None:
    """Whoever asks for no result leaves no span behind; a result finds its task."""
    hook = tracing.hook()
    client = connect(Scripted(t1=("running", "completed")), hook)
    task = await client.submit("solve")
    await task.wait()
    (kept,) = hook._open.values()

    assert (None, NonRecordingSpan) == (kept.part, type(kept.task))

    await task.result()
    spans = tracing.spans

    assert spans["task solve"].get_span_context().span_id == parent_of(spans["result"])
    assert {} == hook._open


def test_what_is_no_task_makes_no_span(tracing: Tracing) -> None:
    """Requests have spans of other instrumentations."""
    hook = tracing.hook()
    hook(RequestDetails(origin="o", method="GET", path="/", attempt=1, seconds=1.0))

    assert {} == tracing.spans


def test_late_news_of_a_task_that_ended(tracing: Tracing) -> None:
    """A span that ended is left alone, without a warning."""
    hook = tracing.hook()
    ref = TaskRef(id="1", service="solve")
    done = attrs.evolve(RUNNING, state=TaskState.FAILED, done=True, message="m" * 999)
    for _ in range(2):
        hook(StatusDetails(task=ref, token="t", status=done, before=RUNNING))
    (span,) = tracing.exporter.get_finished_spans()

    assert ("task solve", "m" * 200) == (span.name, span.status.description)


def test_trace_context_of_no_span() -> None:
    """Outside of any span there is none."""
    assert OpenTelemetryHook().trace_context() is None


ONE_OF_EACH = [
    maker
    for maker in TASK_CLIENTS
    if maker.name not in {"desp-bearer", "desp-oauth2", "oml-token"}
]


@pytest.mark.parametrize("maker", ONE_OF_EACH, ids=lambda maker: maker.name)
async def test_every_service_has_its_spans(maker: Maker, tracing: Tracing) -> None:
    """Whatever the service: one span per task, its parts below it, in one trace."""
    hook = tracing.hook()
    tracer = tracing.provider.get_tracer("caller")
    async with MemoryTransport(build_world(), api_key=maker.key) as transport:
        client = maker.make(
            "http://127.0.0.1",
            transport=transport,
            hooks=(hook,),
            trace_context=hook.trace_context,
        )
        with tracer.start_as_current_span("caller") as caller:
            task = await client.submit(maker.service, {"x": "1"})
            await task.result()
        await client.close()
    spans = {span.name: span for span in tracing.exporter.get_finished_spans()}
    whole = spans.pop("task echo")
    parts = [span for name, span in spans.items() if name != "caller"]

    assert caller.get_span_context().span_id == parent_of(whole)
    assert {whole.get_span_context().span_id} == {parent_of(span) for span in parts}
    assert {trace_of(whole)} == {trace_of(span) for span in parts}
    assert {"submit", "result"} <= set(spans) <= PARTS | {"caller"}
    assert f"{trace_of(whole):032x}" in task.token
    assert not [span for span in parts if span.status.status_code is StatusCode.ERROR]


PARTS = {"submit", "queue", "run", "result"}
