"""Solve a scheduling problem for many parameters; what ended survives a kill."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import Any

from asynctasks import AimmsClient, BatchReport, BatchSubmitter, LocalServer


def instance(number: int) -> dict[str, Any]:
    ovens = [{"resource": f"oven-{n}"} for n in range(2 + number % 3)]
    times = [1 + (number * 7 + n * n) % 9 for n in range(8)]
    loaves = [{"act": f"loaf-{n}", "processTime": t} for n, t in enumerate(times)]
    return {"activities": loaves, "resources": ovens}


async def main(journal: Path, count: int) -> None:
    service, makespans = "equalParallelMachineTimeIndexedMIP", defaultdict(list)
    async with (
        LocalServer(parallel=4) as server,
        AimmsClient.local(server.url) as client,
        BatchSubmitter(client, journal, resume=True) as submitter,
    ):
        async for item in submitter.map(service, map(instance, range(count)), limit=20):
            ovens = len(item.input["resources"])
            makespans[ovens].append(item.result["KPIs"][0]["makespan"])
    for ovens, values in sorted(makespans.items()):
        print(ovens, "ovens: mean makespan", sum(values) / len(values))
    report = BatchReport.from_journal(journal)
    report.to_html(journal.with_suffix(".html"))
    print(report)


if __name__ == "__main__":
    # Of your own service, keep the folder: the next run resumes, the page stays.
    with TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder, "sweep.db"), int((*sys.argv, 500)[1])))
