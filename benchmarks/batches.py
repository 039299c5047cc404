"""P8 and P9: what a journal costs, and what a million inputs need."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
import gc
import importlib.util
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path
import resource
import tempfile
import time
from typing import Any, NoReturn

import aiohttp

from asynctasks import AimmsClient, BatchSubmitter, Transport
from asynctasks.journal import Journal
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.ledger import Entry

from .measure import Contestant, Figure, Verdict, compare


AT_ONCE = 100

SECONDS = 0.5
"""How long a task of a batch takes: what a journal costs is asked of real tasks."""

WRITERS = 1_000
"""Rows that wait to be durable at the same time."""


def inputs(count: int) -> Iterator[dict[str, Any]]:
    return ({"n": n, "seconds": SECONDS} for n in range(count))


# --- P8: the price of the journal ------------------------------------------------


def batches(
    url: str, count: int, folder: Path, *, dask: bool = False
) -> dict[str, Contestant]:
    """Run the same batch by hand, without a journal, and with one."""
    runs = iter(range(1_000_000))

    async def by_hand() -> int:
        places = asyncio.Semaphore(AT_ONCE)
        async with aiohttp.ClientSession() as session:

            async def life(given: dict[str, Any]) -> None:
                async with places:
                    place = f"{url}/api/v2/tasks"
                    async with session.post(f"{place}/bench", json=given) as answer:
                        task = (await answer.json())["id"]
                    state = ""
                    while state != "completed":
                        await asyncio.sleep(0.25)
                        async with session.get(f"{place}/{task}") as answer:
                            state = (await answer.json())["state"]
                    async with session.get(f"{place}/{task}/response") as answer:
                        await answer.json()

            await asyncio.gather(*(life(given) for given in inputs(count)))
        return count

    async def plain() -> int:
        async with AimmsClient.local(url) as client:
            async for item in client.map("bench", inputs(count), limit=AT_ONCE):
                assert item.ok, item
        return count

    async def journalled() -> int:
        path = folder / f"{next(runs)}.db"
        async with (
            AimmsClient.local(url) as client,
            # As many submits at once as the plain one has.
            BatchSubmitter(client, path, submits=16) as submitter,
        ):
            async for item in submitter.map("bench", inputs(count), limit=AT_ONCE):
                assert item.ok, item
        return count

    async def on_dask() -> int:
        from distributed import Client, LocalCluster  # noqa: PLC0415 - an extra

        from asynctasks.integrations.dask import submit_on_dask  # noqa: PLC0415

        path = folder / f"{next(runs)}.db"
        async with (
            LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                asynchronous=True,
            ) as cluster,
            Client(cluster, asynchronous=True) as dask_client,
        ):
            await submit_on_dask(
                dask_client,
                partial(AimmsClient.local, url),
                "bench",
                inputs(count),
                journal=path,
                limit=AT_ONCE,
            )
        return count

    contestants: dict[str, Contestant] = {
        "aiohttp, hand-written gather loop": by_hand,
        "asynctasks, map": plain,
        "asynctasks, map with a journal": journalled,
    }
    if dask and importlib.util.find_spec("distributed") is not None:
        contestants["asynctasks, a Dask cluster of two workers"] = on_dask
    return contestants


async def write_rows(path: Path, count: int) -> float:
    """Write rows, so many waiting at a time; return durable rows a second."""
    journal = await Journal.open(path)
    began = time.perf_counter()
    for start in range(0, count, WRITERS):
        numbers = range(start, min(start + WRITERS, count))
        entries = (Entry(key=f"k{n}", index=n, service="bench") for n in numbers)
        await asyncio.gather(*(journal.put(entry) for entry in entries))
    took = time.perf_counter() - began
    await journal.close()
    return count / took


# --- P9: very many inputs ----------------------------------------------------------


class Accepting(Transport):
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


def memory() -> float:
    """Return the peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def map_all(count: int) -> None:
    async with AimmsClient.local(transport=Accepting()) as client:
        async for item in client.map("work", inputs(count), limit=AT_ONCE):
            assert item.ok, item


def measure_memory(pipe: Connection, count: int) -> None:
    asyncio.run(map_all(100))
    gc.collect()
    idle = memory()
    asyncio.run(map_all(count))
    pipe.send(memory() - idle)


def peak(count: int) -> float:
    """Map so many inputs in a process of its own; return MB above idle."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=measure_memory, args=(there, count))
    process.start()
    above: float = here.recv()
    process.join()
    return above


def run(url: str, *, quick: bool) -> tuple[list[Figure], list[Verdict]]:
    """Measure both."""
    count = 100 if quick else 10_000
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        found = compare(batches(url, count, place, dask=not quick), 1 if quick else 3)
        rows = asyncio.run(write_rows(place / "rows.db", 2_000 if quick else 100_000))
    _, plain, journalled, *_ = found.values()
    many = 2_000 if quick else 1_000_000
    return list(found.values()), [
        Verdict(
            "P8",
            "items a second with a journal, against without",
            journalled.rate / plain.rate,
            0.9,
            at_least=True,
        ),
        Verdict("P8", "durable journal rows a second", rows, 10_000, at_least=True),
        Verdict(
            "P9",
            f"{many:,} inputs through map: peak MB above idle",
            peak(many),
            150.0,
            at_least=False,
        ),
    ]
