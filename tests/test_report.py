"""Reports of batches: what is counted, and how it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from asynctasks.report import GROUPS, SHOWN, BatchReport, Durations
from asynctasks.sansio.ledger import Entry, Failure, ItemState, Timings


TIMES = [field.name for field in attrs.fields(Timings)]


def entry(index: int, state: str = "succeeded", /, **facts: Any) -> Entry:
    """Make an item; what is not a fact of an entry is one of its times."""
    times = {name: facts.pop(name) for name in TIMES if name in facts}
    return Entry(
        key=f"k{index}",
        index=index,
        state=ItemState(state),
        timings=Timings(**times),
        **facts,
    )


def failed(index: int, message: str) -> Entry:
    """Make an item that failed."""
    return entry(index, "failed", failure=Failure("TaskFailed", message))


def test_report_counts() -> None:
    """Outcomes, times, submits and retries are summed up."""
    report = BatchReport.of(
        [
            entry(0, submitted=100, started=101, ended=103, fetched=104, attempts=1),
            entry(
                1,
                "failed",
                submitted=101,
                fetched=110,
                attempts=2,
                retries=("TaskFailed",),
                failure=Failure("TaskFailed", "no"),
            ),
            entry(2, "submitted", submitted=105, started=106, attempts=1),
            entry(3, "waiting"),
        ]
    )

    assert {"done": 1, "failed": 1, "unknown": 0, "open": 2} == report.outcomes
    assert (4, 4, 10) == (report.items, report.submits, report.seconds)
    assert 0.2 == report.throughput
    assert {"TaskFailed": 1} == report.retries
    assert "1 done, 1 failed, 2 open in 10.0 s (0.2/s)" == str(report)
    assert 3 == report.lanes.size


def test_durations_are_ranked() -> None:
    """A percentile is a value that was seen."""
    durations = Durations.of([float(n) for n in range(100, 0, -1)])

    assert durations == Durations(mean=50.5, p50=50, p90=90, p99=99, max=100)
    assert Durations.of([]) is None


def test_failures_that_say_the_same_are_one_group() -> None:
    """Ids and numbers do not tell failures from each other."""
    task = "0c6a3b0e-52bd-4e2c-9c68-4b1f3f6d9b0a"
    entries = [failed(n, f"task {task} failed: {n} machines") for n in range(30)]
    report = BatchReport.of([failed(30, "no model"), *entries])
    group, other = report.failures

    assert ("task # failed: # machines", 30) == (group.message, group.count)
    assert list(range(SHOWN)) == [item.index for item in group.items]
    assert ("no model", 1) == (other.message, other.count)


def test_there_is_an_end_to_groups() -> None:
    """A service that never says the same twice does not fill the memory."""
    words = ["".join(chr(97 + int(c)) for c in str(n)) for n in range(GROUPS + 50)]
    report = BatchReport.of(failed(n, word) for n, word in enumerate(words))

    assert GROUPS + 1 == len(report.failures)
    assert ("(other messages)", 50) == (
        report.failures[0].message,
        report.failures[0].count,
    )


@pytest.mark.parametrize(
    ("state", "times", "start", "end"),
    [
        ("succeeded", {"started": 13, "ended": 18, "fetched": 19}, 13, 18),
        ("succeeded", {"ended": 18, "fetched": 19}, 10, 19),
        ("succeeded", {"ended": 18}, 10, 18),
        ("succeeded", {"queue_time": 2, "run_time": 5, "fetched": 19}, 12, 17),
        ("succeeded", {"run_time": 5, "fetched": 19}, 14, 19),
        ("succeeded", {"queue_time": 99, "run_time": 99, "fetched": 19}, 19, 19),
        ("failed", {"started": 13, "fetched": 19}, 13, 19),
        ("failed", {"fetched": 19}, 19, 19),
        # The service's clock is ahead, behind, or tells whole seconds only.
        ("succeeded", {"started": 3613, "ended": 3618, "fetched": 19}, 10, 19),
        ("succeeded", {"started": 1, "ended": 2, "fetched": 19}, 10, 19),
        (
            "succeeded",
            {"started": 9.0, "ended": 9.0, "fetched": 10.4, "run_time": 0.3},
            10.1,
            10.4,
        ),
        ("submitted", {"started": 13}, 13, 50),
        ("submitted", {}, 50, 50),
    ],
)
def test_spans_are_in_order(
    state: str, times: dict[str, float], start: float, end: float
) -> None:
    """What is known of an item has its place; no clock makes time run backwards."""
    until = entry(1, submitted=10, fetched=50)
    report = BatchReport.of([entry(0, state, submitted=10, **times), until])
    [span] = [s for row in report.lanes.rows for s in row if s.label == "item 0"]

    assert pytest.approx((10, start, end)) == (span.begin, span.start, span.end)


def test_report_of_nothing() -> None:
    """An empty batch has a report."""
    report = BatchReport.of([])

    assert ("no items in 0.0 s (0.0/s)", 0.0) == (str(report), report.throughput)


def test_json_has_all_of_it() -> None:
    """The document is JSON, with times that people and programs read."""
    item = entry(0, submitted=1_800_000_000, fetched=1_800_000_001.5)
    document = json.loads(BatchReport.of([item], service="solve").to_json())

    assert "2027-01-15T08:00:00+00:00" == document["begin"]
    assert (1.5, 1, None) == (
        document["durations"]["total"]["p50"],
        document["outcomes"]["done"],
        document["durations"]["queue"],
    )


def test_page_is_written_whole(tmp_path: Path) -> None:
    """The page replaces what was there, and leaves nothing beside it."""
    path = tmp_path / "report.html"
    path.write_text("old")
    report = BatchReport.of([failed(0, "boom")], service="solve")

    assert path == report.to_html(path)
    assert "Batch of solve" in path.read_text("utf-8")
    assert [path] == list(tmp_path.iterdir())
    assert "TaskFailed" in report._repr_html_()


def test_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """An error of the disk is raised, and no part stays behind."""
    target = tmp_path / "folder"
    target.mkdir()

    with pytest.raises(OSError, match="folder"):
        BatchReport.of([]).to_html(target)

    assert [target] == list(tmp_path.iterdir())
