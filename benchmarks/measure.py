"""How a figure is taken: contestants in turn, several rounds, medians and ranges."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
import gc
import statistics
import time

import attrs


Contestant = Callable[[], Awaitable[int]]
"""Does its work and returns how many operations it was."""


@attrs.frozen
class Figure:
    """What one contestant needed, over all rounds."""

    name: str
    rates: tuple[float, ...]
    """Operations a second."""

    cpu: tuple[float, ...]
    """Microseconds of this process's CPU for one operation."""

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def cost(self) -> float:
        return statistics.median(self.cpu)

    def as_json(self) -> dict[str, object]:
        return {"name": self.name, "rates": self.rates, "cpu_us": self.cpu}

    def line(self) -> str:
        low, high = min(self.rates), max(self.rates)
        return (
            f"  {self.name:<42} {self.rate:>10,.0f}/s [{low:,.0f}-{high:,.0f}]"
            f" {self.cost:>9,.1f} us CPU"
        )


@attrs.frozen
class Verdict:
    """One target, and whether it was met."""

    target: str
    what: str
    ratio: float
    wanted: float
    at_least: bool

    @property
    def met(self) -> bool:
        if self.at_least:
            return self.ratio >= self.wanted
        return self.ratio <= self.wanted

    def as_json(self) -> dict[str, object]:
        return {**attrs.asdict(self), "met": self.met}

    def line(self) -> str:
        sign = ">=" if self.at_least else "<="
        mark = "pass" if self.met else "MISS"
        return (
            f"{self.target:<4} {self.what:<62} {self.ratio:>8.2f}"
            f" {sign} {self.wanted:<6g} {mark}"
        )


def compare(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, Figure]:
    """Run the contestants in turn, so that a slow minute is slow for all of them."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    cpu: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            gc.collect()
            began, burnt = time.perf_counter(), time.process_time()
            operations = asyncio.run(_run(contestant))
            took = time.perf_counter() - began
            rates[name].append(operations / took)
            used = time.process_time() - burnt
            cpu[name].append(used / operations * 1e6)
    return {
        name: Figure(name, tuple(rates[name]), tuple(cpu[name])) for name in contestants
    }


async def _run(contestant: Contestant) -> int:
    return await contestant()
