"""Facts of jobs and files are written as the recordings have them."""

from __future__ import annotations

import pytest

from asynctasks.server.desp.facts import write_local, write_zulu
from tests.server.desp.worlds import NOW, DespWorld


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (NOW, "2024-02-10T13:19:17.964"),
        (1738853475.0, "2025-02-06T14:51:15"),
        (1744985256.46, "2025-04-18T14:07:36.46"),
        (None, None),
    ],
)
def test_times(at: float | None, expected: str | None) -> None:
    """Times have no zone and no zeros at their end; audit fields end with Z."""
    assert expected == write_local(at)
    assert at is None or f"{expected}Z" == write_zulu(at)


def test_phases() -> None:
    """A job tells its phase and stage, and when it started and ended."""
    world = DespWorld()
    job = world.launch()
    states = [world.get(f"/jobs/{job.id}")]
    world.turn()
    states.append(world.get(f"/jobs/{job.id}"))
    world.now += 5
    states.append(world.end(job, content=b"x"))
    found = [(each["phase"], each["stage"], each["endTime"]) for each in states]

    assert [
        ("CREATED", None, None),
        ("PROCESSING", "Step 2 of 3: Processing", None),
        ("OUTPUT_LIST", "Step 3 of 3: Output-List", "2024-02-10T13:19:22.964"),
    ] == found
