"""Every example runs as it is, against the embedded server that it starts."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import pytest


ROOT = Path(__file__).parent.parent

EXAMPLES = ROOT / "examples"

PRINTED = {
    "add_a_service.py": "{'greeting': 'hello'}",
    "aimms_v1.py": "Optimal makespan 73.0",
    "aimms_v2.py": "task response json: {'count': 3.0}",
    "aiohttp_backend.py": "200 {'x': 1}",
    "desp_processing.py": "result.txt says: Insula is great!",
    "many_tasks.py": "no such model",
    "oml_async_execution.py": "versicolor_8 {'SEPAL_LENGTH': {'0': 5.7}",
    "one_task.py": "result: {'hello': 'world'}",
    "own_service.py": "lift-off",
    "parameter_sweep.py": "12 done in",
    "status_callbacks.py": "SUCCEEDED",
    "survive_a_kill.py": "3 submits in all",
    "sweep_from_command_line.py": "        12  done\n",
    "vantiq_batch.py": "batch: [200, 404]",
    "vantiq_crud.py": "deleted: 24",
    "vantiq_documents.py": "the same: True",
    "vantiq_events.py": "stream: message {'number': 2}",
}
"""A part of what each example prints in its last lines."""

ARGUMENTS = {"parameter_sweep.py": ["12"], "sweep_from_command_line.py": ["12"]}
"""What is given to those that take something; by default they do more."""

LONGEST = 40
"""Lines an example has at most, blank ones not counted."""


def test_every_example_is_run() -> None:
    """No example is forgotten here."""
    found = {path.name for path in EXAMPLES.glob("*.py")}

    assert found == set(PRINTED)


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_example_prints_its_result(name: str) -> None:
    """An example exits with 0, without warnings, and prints what it promises."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *ARGUMENTS.get(name, [])],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert PRINTED[name] in done.stdout


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_example_is_short(name: str) -> None:
    """An example can be read at a glance."""
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()

    longest = 75 if name == "add_a_service.py" else LONGEST  # a dialect and its use

    assert len([line for line in lines if line.strip()]) <= longest
