"""
A process that runs tasks through one client, and says what it holds after each half.

It is told the URL of the service and how many tasks make a half.
"""

from __future__ import annotations

import asyncio
from collections import Counter
import gc
import json
from pathlib import Path
import sys
import tracemalloc
from typing import Any

from asynctasks import AimmsClient, Event, PatienceExceeded, PollPolicy, TaskFailed


AT_ONCE = 50

OURS = tracemalloc.Filter(inclusive=True, filename_pattern="*/asynctasks/*")


def heard(_: Event) -> None:
    """Be told of every state."""


def told(_: Any) -> None:
    """Be told of everything else."""


async def live(client: AimmsClient, number: int) -> None:
    """Run one task; some fail, some are given up, some are cancelled by the way."""
    if number % 10 == 0:
        try:
            await client.run("fail")
        except TaskFailed:
            return
    elif number % 10 == 1:
        task = await client.submit("slow")
        try:
            await task.result(timeout=0.001)
        except PatienceExceeded:
            return
    elif number % 10 == 2:
        waiting = asyncio.create_task(client.run("slow"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    else:
        await client.run("quick", {"x": number})


async def live_all(client: AimmsClient, numbers: range) -> None:
    """Run tasks, so many at a time."""
    left = iter(numbers)

    async def work() -> None:
        for number in left:
            await live(client, number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())


def measure() -> dict[str, Any]:
    """Say what this process holds."""
    gc.collect()
    status = Path("/proc/self/status").read_text("ascii")
    ours = tracemalloc.take_snapshot().filter_traces([OURS]).traces
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    files = [str(link.readlink()) for link in links if link.is_symlink()]
    kinds = Counter(
        type(each).__qualname__
        for each in gc.get_objects()
        if str(type(each).__module__).startswith("asynctasks")
    )
    (resident,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return {
        "resident": int(resident.split()[1]) * 1024,
        "allocated": sum(trace.size for trace in ours),
        "objects": kinds.total(),
        "kinds": dict(kinds.most_common(5)),
        "files": len(links),
        "sockets": sum(name.startswith("socket:") for name in files),
        "tasks": len(asyncio.all_tasks()),
    }


def say(measured: dict[str, Any]) -> None:
    """Tell whoever started this process."""
    sys.stdout.write(f"{json.dumps(measured)}\n")
    sys.stdout.flush()


async def main(url: str, half: int) -> None:
    """Run a tenth of a half to warm up, then two halves."""
    tracemalloc.start()
    client = AimmsClient.local(
        url, hooks=(told,), poll=PollPolicy(wait_initial=0.01, wait_max=0.01)
    )
    async with client:
        await client.subscribe(heard)
        for numbers in (
            range(half // 10),
            range(half // 10, half),
            range(half, 2 * half),
        ):
            await live_all(client, numbers)
            await asyncio.sleep(1)  # the slow ones end, and events are told
            say(measure())
    await asyncio.sleep(0)
    say(measure())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
