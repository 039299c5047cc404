"""How a batch goes, in lines and as a picture."""

from __future__ import annotations

from contextlib import suppress
import io
import sys
from typing import Any

import attrs
import pytest

from asynctasks.batch import BatchItem
from asynctasks.cli.batch_view import EVERY, Log, Progress, Screen
from asynctasks.cli.terminal import Terminal
from asynctasks.sansio.ledger import Failure, ItemState
from asynctasks.stats import Bottleneck, ClientStats


STATS = ClientStats(
    submitted=9,
    finished=6,
    fetched=6,
    open=3,
    looks=12,
    surveys=0,
    surveyed=0,
    polls_per_finished=2.0,
    lateness=0.012,
    limited_by=Bottleneck.REMOTE_QUEUE,
    submits_waiting=0,
    submits_allowed=8,
    looks_waiting=0,
    queued=2,
    running=1,
    unfetched=0,
    events_waiting=0,
)


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def item(state: ItemState, kind: str = "", **facts: Any) -> BatchItem:
    """Make an item that is over."""
    failure = Failure(kind, "") if kind else None
    return BatchItem(
        index=0, key="k", input=None, state=state, failure=failure, **facts
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    return Progress("solve < in.jsonl", 20, lambda: STATS, limit=3, clock=clock)


def test_rate_is_that_of_this_run(progress: Progress, clock: Clock) -> None:
    """What ended in earlier runs counts, but not as work."""
    for _ in range(4):
        progress.add(item(ItemState.SUCCEEDED, recorded=True))
    clock.now += 2
    for _ in range(6):
        progress.add(item(ItemState.SUCCEEDED))

    assert (10, 3.0) == (progress.ended, progress.rate())
    assert pytest.approx(10 / 3) == progress.left()


def test_what_earlier_runs_did_is_seen_at_once(progress: Progress) -> None:
    """Items with a result count as done before they come again, and only once."""
    progress.expect(5)
    before = (progress.ended, progress.rate(), dict.fromkeys(progress.facts()))
    for _ in range(4):
        progress.add(item(ItemState.SUCCEEDED, recorded=True))
    progress.add(item(ItemState.SUCCEEDED))
    between = progress.ended
    with progress.measured():
        pass

    assert (5, 0.0) == before[:2]
    assert ("5 done", "green") in before[2]
    assert (6, 5) == (between, progress.ended)


def test_last_numbers_stay(clock: Clock) -> None:
    """A batch that is closed watches nothing; what it had at the service is told."""
    stats = [STATS]
    progress = Progress("", 20, lambda: stats[0], limit=3, clock=clock)
    progress.expect(2)
    with suppress(KeyboardInterrupt), progress.measured():
        raise KeyboardInterrupt
    stats[0] = attrs.evolve(STATS, running=0, queued=0, open=0)

    assert {"2 done", "1 running", "2 queued"} <= {text for text, _ in progress.facts()}
    assert (3, 2) == (progress.open, progress.ended)


def test_over_is_when_all_is_settled(progress: Progress) -> None:
    """Items that were given up may go on; of stdin, nobody knows."""
    for _ in range(19):
        progress.add(item(ItemState.FAILED))
    progress.add(item(ItemState.SUBMITTED))
    before, progress.total = progress.over, 19
    after, progress.total = progress.over, None

    assert (False, True, False) == (before, after, progress.over)


def test_rate_forgets(progress: Progress, clock: Clock) -> None:
    """Only the last half minute counts."""
    for second in range(120):
        clock.now += 1
        if second < 60:
            progress.add(item(ItemState.SUCCEEDED))
        progress.rate()

    assert (0.0, None) == (progress.rate(), progress.left())


def test_log_says_it_in_a_line(
    progress: Progress, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts, rate, what limits, and errors; now and then, and at the end."""
    with Log(Terminal(), progress) as log:
        log.refresh()
        for state, kind in [
            (ItemState.SUCCEEDED, ""),
            (ItemState.FAILED, "Task\x1bFailed"),
            (ItemState.UNKNOWN, "SubmitOutcomeUnknown"),
        ]:
            progress.add(item(state, kind))
        clock.now += EVERY
        log.refresh()
        log.refresh()
    lines = capsys.readouterr().err.splitlines()

    assert 2 == len(lines)
    assert (
        "3/20: 1 done, 1 failed, 1 unknown, 1 running, 2 queued; 0.6/s  ETA 28 s; "
        "limited by: remote queue · looks late by 12 ms · 2.0 looks per task; "
        "Task\\x1bFailed 1, SubmitOutcomeUnknown 1" == lines[0]
    )


def test_quiet_log_says_nothing(
    progress: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    """With -q there is no talk."""
    with Log(Terminal(quiet=True), progress):
        pass

    assert "" == capsys.readouterr().err


class Tty(io.StringIO):
    """A terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("total", [20, None, 0])
def test_screen_draws(
    progress: Progress,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    total: int | None,
) -> None:
    """The picture has all of it, and nothing of a service steers the terminal."""
    stderr = Tty()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    progress.total = total
    progress.title = "so\x1b[2Jlve"
    with Screen(Terminal(), progress) as screen:
        for number in range(6):
            progress.add(item(ItemState.FAILED, f"Error\x1b{number}"))
        clock.now += 3
        screen.refresh()
    drawn = stderr.getvalue()

    assert "so\\x1b[2Jlve" in drawn
    assert "6 failed" in drawn
    assert "2 other kinds" in drawn
    assert "limited by: remote queue" in drawn
    assert ("━" in drawn) == (total is not None)
    assert "\x1b[?25h" in drawn
    assert "[2J" not in drawn.replace("\\x1b[2J", "")


def test_screen_without_blocks(
    progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the encoding has no lines, there are others."""
    stdout = attrs.make_class("Ascii", {"encoding": attrs.field(default="ascii")})()
    monkeypatch.setattr(sys, "stdout", stdout)
    progress.add(item(ItemState.SUCCEEDED))
    bar = Screen(Terminal(), progress).blocks(0.5, 8)

    assert "====...." == bar.plain


@pytest.mark.parametrize(
    ("limited_by", "limit", "total", "serial", "said"),
    [
        (Bottleneck.NOTHING, 3, 20, False, "--limit 3"),
        (Bottleneck.NOTHING, 4, 20, False, "submits"),
        (Bottleneck.NOTHING, 4, None, True, "submits, one at a time"),
        (Bottleneck.NOTHING, 4, 3, True, "nothing, it is nearly over"),
        (Bottleneck.REMOTE_QUEUE, 3, 20, True, "remote queue"),
        (Bottleneck.REMOTE_QUEUE, 4, 20, True, "submits, one at a time"),
        (Bottleneck.REMOTE_QUEUE, 4, 3, True, "remote queue"),
        (Bottleneck.POLL_BUDGET, 4, 20, True, "poll budget"),
    ],
)
def test_what_limits_where_the_client_does_not(
    clock: Clock,
    limited_by: Bottleneck,
    limit: int,
    total: int | None,
    serial: bool,
    said: str,
) -> None:
    """The batch itself has a limit, and an order of its submits."""
    stats = attrs.evolve(STATS, limited_by=limited_by, open=3)
    progress = Progress(
        "", total, lambda: stats, limit=limit, serial=serial, clock=clock
    )

    assert progress.limits().startswith(f"limited by: {said} ·")
