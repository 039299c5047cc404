"""Run the benchmarks: ``python -m benchmarks [--quick] [--json FILE] [NAME ...]``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import platform
import sys

from . import batches, events, imports, lives, server, single, waiting
from .measure import Figure, Verdict


Measured = tuple[list[Figure], list[Verdict]]

BENCHMARKS: dict[str, Callable[[str, bool], Measured]] = {
    "single": lambda url, quick: single.run(url, quick=quick),
    "lives": lambda url, quick: lives.run(url, quick=quick),
    "waiting": lambda url, quick: waiting.run(url, quick=quick),
    "batches": lambda url, quick: batches.run(url, quick=quick),
    "events": lambda _, quick: events.run(quick=quick),
    "imports": lambda _, quick: imports.run(quick=quick),
}


def main() -> int:
    """Measure what was asked for; print the figures, then the targets."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="small: a smoke test")
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    asked = parser.parse_args()
    figures: list[Figure] = []
    verdicts: list[Verdict] = []
    for name in asked.names or BENCHMARKS:
        with server.run() as url:
            found, judged = BENCHMARKS[name](url, asked.quick)
        figures += found
        verdicts += judged
        for figure in found:
            print(figure.line())
    print()
    for verdict in verdicts:
        print(verdict.line())
    if asked.json is not None:
        document = {
            "python": platform.python_version(),
            "quick": asked.quick,
            "figures": [figure.as_json() for figure in figures],
            "targets": [verdict.as_json() for verdict in verdicts],
        }
        asked.json.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
