"""P10: what it costs to import the package, and to ask the command for help."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from .measure import Figure, Verdict


def seconds(*arguments: str, rounds: int) -> list[float]:
    """Run the interpreter so often; return how long each run took."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return taken


def run(*, quick: bool) -> tuple[list[Figure], list[Verdict]]:
    """Measure the imports in turn, and the help."""
    rounds = 2 if quick else 9
    ours, attrs = [], []
    for _ in range(rounds):
        ours += seconds("-c", "import attrs, asynctasks", rounds=1)
        attrs += seconds("-c", "import attrs", rounds=1)
    more = (statistics.median(ours) - statistics.median(attrs)) * 1000
    helped = statistics.median(seconds("-m", "asynctasks", "--help", rounds=rounds))
    return [], [
        Verdict(
            "P10",
            "import asynctasks: ms more than import attrs",
            more,
            60.0,
            at_least=False,
        ),
        Verdict("P10", "asynctasks --help: seconds", helped, 0.4, at_least=False),
    ]
