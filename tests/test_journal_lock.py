"""Who has the lock of a journal: what is seen of a process, and what is not."""

from __future__ import annotations

import os
from pathlib import Path
import socket
import subprocess
import sys
import time
from typing import Any

import attrs
import pytest

from asynctasks.journal_lock import OWN, STALE, Holder


linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")

LONG_AGO = -STALE - 1


def holder(ago: float = 0.0, **facts: Any) -> Holder:
    """Make a holder that was last heard of some seconds ago."""
    host = socket.gethostname()
    given = {"owner": "x", "pid": 1, "host": host, "beat": time.time() + ago}
    return Holder(**{**given, **facts})


@pytest.fixture
def child() -> Any:
    """Provide a process that lives."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def of(process: Any, **facts: Any) -> Holder:
    """Make the holder that a process would make of itself."""
    ours = Holder.of_this_process()
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    birth = stat.rpartition(")")[2].split()[19]
    words = ours.owner.split(" ")
    owner = " ".join([words[0], birth, words[2]])
    return attrs.evolve(ours, owner=owner, pid=process.pid, **facts)


def test_living_process_has_it(child: Any) -> None:
    """A process that can be seen has its lock."""
    assert not holder(pid=child.pid).gone


@linux
def test_process_that_lives_may_be_silent(child: Any) -> None:
    """It may have been stopped, and go on: only its end ends its lock."""
    held = of(child, beat=0.0)
    before = held.gone
    child.kill()
    child.wait()

    assert (False, True) == (before, held.gone)


@linux
def test_number_was_given_to_another_process(child: Any) -> None:
    """A process with the same number that began at another time is another one."""
    held = of(child)
    first, _, last = held.owner.split(" ")

    assert attrs.evolve(held, owner=f"{first} 1 {last}").gone


@linux
def test_other_container_counts_otherwise(child: Any) -> None:
    """A number of another namespace tells nothing: then silence does."""
    held = of(child)
    first, birth, _ = held.owner.split(" ")
    owner = f"{first} {birth} pid:[1]"

    assert not attrs.evolve(held, owner=owner, pid=2**22 + 1).gone
    assert attrs.evolve(held, owner=owner, beat=0.0).gone


@pytest.mark.parametrize(("ago", "gone"), [(0.0, False), (LONG_AGO, True)])
def test_of_another_machine_only_signs_of_life_are_known(
    ago: float, *, gone: bool
) -> None:
    """Whoever is silent for long, elsewhere, has lost its lock."""
    assert gone is holder(ago, host="elsewhere").gone


def test_dead_process_has_nothing(child: Any) -> None:
    """A process that has ended has no lock."""
    child.kill()
    child.wait()

    assert holder(pid=child.pid).gone


@linux
def test_zombie_has_nothing() -> None:
    """A process that was killed and not waited for has no lock."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    gone = holder(pid=process.pid).gone
    process.wait()

    assert gone


def test_this_process_knows_its_own() -> None:
    """In a container a restarted process may have the number of the one that died."""
    ours = attrs.evolve(Holder.of_this_process(), beat=0.0)
    before = ours.gone
    OWN.add(ours.owner)
    while_held = ours.gone
    OWN.discard(ours.owner)

    assert (True, False) == (before, while_held)


def test_holder_is_named() -> None:
    """People are told which process it is, and where."""
    assert "process 1 uses it (last heard of 0 s ago)" == str(holder())
    elsewhere = holder(-5, host="elsewhere")

    assert "process 1 on elsewhere uses it (last heard of 5 s ago)" == str(elsewhere)
