"""
Looking for secrets in everything that can be seen: logs, errors with all that hangs
on them, warnings, representations, hooks, spans, metrics, tokens, files.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
import logging
from pathlib import Path
import pickle
import re
import traceback
from typing import Any
from urllib.parse import quote, quote_plus
import warnings

import attrs
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest
import pytest

from asynctasks import BatchReport, BatchSubmitter, PollPolicy, RetryPolicy
from asynctasks.integrations.otel import OpenTelemetryHook
from asynctasks.integrations.prometheus import PrometheusHook
from asynctasks.sansio.http import Request, Response
from asynctasks.testing import build_simulator
from tests.every_method import SECRETS, Maker, calls_of


__all__ = ["Outcome", "Scene", "Search", "build_world", "everywhere", "search_batch"]

ON_PURPOSE = {"Vantiq.get_access_token", "Vantiq.get_id_token"}
"""Whose answer is a secret, because that is what was asked for."""


def disguises(secret: str) -> Iterator[str]:
    """Go through the forms in which a secret may be shown."""
    yield secret
    for user in ("user", "me", "developer", "OMLUSER"):
        yield base64.b64encode(f"{user}:{secret}".encode()).decode().rstrip("=")
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    yield from {quote(secret, safe=""), quote_plus(secret), secret[::-1]}


FORMS = {form: secret for secret in SECRETS for form in disguises(secret)}


class Search:
    """Collects what can be seen, and knows what of it shows a secret."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._secrets = dict(FORMS)
        self._pattern = re.compile("|".join(map(re.escape, self._secrets)))
        self._texts: dict[str, str] = {}

    def plant(self, form: str, name: str) -> None:
        """Count a text among the secrets, from the beginning."""
        self._secrets[form] = name
        self._pattern = re.compile("|".join(map(re.escape, self._secrets)))
        self._texts, texts = {}, self._texts
        for text, where in texts.items():
            self.look(where, text)

    def look(self, where: str, text: str) -> None:
        """Look at a text; the same one is looked at once."""
        if text in self._texts:
            return
        self._texts[text] = where
        for form in self._pattern.findall(text):
            self.found.add(f"{where}: {self._secrets[form]}")

    def look_at_error(self, where: str, error: BaseException) -> None:
        """Look at an error, and at all that hangs on it."""
        for each in family(error):
            kind = f"{where} {type(each).__name__}"
            self.look(f"{kind} str", str(each))
            self.look(f"{kind} repr", repr(each))
            self.look(f"{kind} args", repr(each.args))
            for name, value in held(vars(each)):
                self.look(f"{kind} .{name}", value)
        shown = "".join(traceback.format_exception(error))
        self.look(f"{where} traceback", shown)

    def look_at_log(self, records: list[logging.LogRecord]) -> None:
        """Look at what was logged, arguments and tracebacks too."""
        for record in records:
            place = f"log {record.name}: {record.msg}"
            self.look(place, record.getMessage())
            self.look(place, f"{record.args!r} {record.exc_text}")
            if record.exc_info and record.exc_info[1]:
                self.look_at_error(place, record.exc_info[1])


def family(error: BaseException) -> Iterator[BaseException]:
    """Go through an error, its causes, contexts and parts, shown or not."""
    seen: dict[int, BaseException] = {}
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen[id(each)] = each
        left += [each.__cause__, each.__context__, getattr(each, "cause", None)]
        left += getattr(each, "exceptions", ())
    yield from seen.values()


def held(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Go through what an error carries along, down to bytes and headers."""
    for name, value in facts.items():
        yield name, repr(value)
        if isinstance(value, Response | Request):
            yield f"{name}.headers", repr(dict(value.headers))
            yield f"{name}.body", repr(value.body)
            yield f"{name}.pickled", repr(pickle.dumps(value))


# --- what is listened to -----------------------------------------------------


class Listening:
    """Hooks of every kind, and what they heard."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.registry = CollectorRegistry()
        self.told: list[Any] = []
        tracing = OpenTelemetryHook(provider.get_tracer("test"))
        self.hooks = (self.told.append, tracing, PrometheusHook(self.registry))

    def search(self, search: Search) -> None:
        """Look at all of it."""
        for details in self.told:
            search.look(f"hook {type(details).__name__}", repr(details))
            search.look(f"hook {type(details).__name__}", repr(attrs.asdict(details)))
            error = getattr(details, "error", None)
            if error is not None:
                search.look_at_error(f"hook {type(details).__name__}", error)
        for span in self.exporter.get_finished_spans():
            search.look(f"span {span.name}", span.to_json())
        search.look("metrics", generate_latest(self.registry).decode())


def is_data(came: Any) -> bool:
    """Tell whether it is what the service had to say, which is the caller's."""
    return isinstance(came, str | bytes) or getattr(came, "is_success", False)


@attrs.frozen
class Outcome:
    """What came of the calls."""

    search: Search
    errors: dict[str, BaseException]
    """By call."""


@attrs.define
class Scene:
    """Where the methods are called."""

    maker: Maker
    folder: Path
    log: pytest.LogCaptureFixture

    async def play(
        self,
        url: str,
        transport: Any,
        *,
        task: str | None = None,
        timeout: float = 2.0,
    ) -> Outcome:
        """
        Make a client, call all its methods, and search what can be seen.

        Args:
            url: of the service.
            transport: of the client.
            task: the token of one that there is.
            timeout: seconds for each call.
        """
        search, listening = Search(), Listening()
        options: dict[str, Any] = {"transport": transport}
        if self.maker.name != "vantiq":
            options |= {
                "hooks": listening.hooks,
                "poll": PollPolicy(wait_initial=0.05, wait_max=0.05),
                "retry": RetryPolicy(attempts=2, wait_initial=0, wait_jitter=0),
                "patience": 0.1,
            }
        errors: dict[str, BaseException] = {}
        with (
            self.log.at_level(logging.DEBUG),
            warnings.catch_warnings(record=True, action="always") as warned,
        ):
            client = self.maker.make(url, **options)
            given = {} if task is None else {"task": task}
            for name, make in calls_of(client, self.maker, self.folder, **given):
                try:
                    async with asyncio.timeout(timeout):
                        came = await make()
                except Exception as exc:  # noqa: BLE001 - each is looked at
                    errors[name] = exc
                    search.look_at_error(name, exc)
                else:
                    if not (name in ON_PURPOSE or is_data(came)):
                        search.look(f"answer of {name}", f"{came!r} {came}")
            search.look("repr", f"{client!r} {client}")
            for name in dir(type(client)):
                if isinstance(getattr(type(client), name), property):
                    search.look(f"repr of {name}", repr(getattr(client, name)))
        for warning in warned:
            search.look("warning", str(warning))
        search.look_at_log(self.log.records)
        listening.search(search)
        return Outcome(search, errors)


def build_world() -> Any:
    """Make the packaged services, run in the loop, whose clock is virtual."""
    simulator = build_simulator()

    @simulator.service("echo")
    async def echo(inputs: Any) -> Any:
        return inputs

    return simulator


def everywhere(folder: Path) -> Iterator[tuple[str, str]]:
    """Go through the bytes of all files in a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes().decode("latin-1")


async def search_batch(maker: Maker, transport: Any, folder: Path) -> Search:
    """Run a batch with a journal, and search the journal and its report."""
    search = Search()
    client = maker.make(
        "http://127.0.0.1", transport=transport, retry=RetryPolicy(attempts=1)
    )
    async with (
        client,
        BatchSubmitter(client, folder / "batch.db") as submitter,
        submitter.map(maker.service, [{"x": "1"}, {"x": "2"}]) as batch,
    ):
        async for item in batch:
            search.look("item", repr(item))
            if item.error is not None:
                search.look_at_error("item", item.error)
        for name, text in everywhere(folder):
            search.look(name, text)
    report = BatchReport.from_journal(folder / "batch.db")
    report.to_html(folder / "report.html")
    search.look("report", f"{report!r} {report} {report.to_json()}")
    for name, text in everywhere(folder):
        search.look(name, text)

    assert (folder / "report.html").stat().st_size > 1000
    assert 2 == report.items
    return search
