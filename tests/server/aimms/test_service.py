"""The AIMMS half: the documented exchanges, and what the documents leave open."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asynctasks.sansio.http import Request
from asynctasks.server.half import Delayed
from asynctasks.server.tasks import State
from tests.server.aimms.replay import names, replay
from tests.server.worlds import World


NOT_OURS = {
    "cloud-v2-numbers-unformatted": "our numbers are always well formatted",
    "cloud-v2-submit-answer-as-printed": "our answer to a submit says queued",
    "cloud-v2-submit-latest-missing": "needs a table of applications; see below",
    "cloud-v2-task-state-hook": "the hook is called by the server; see below",
    "local-v2-poll-with-v1-keys": "our v2 URLs have v2 keys",
}
"""Documented answers that clients must understand and that we do not give."""


@pytest.mark.parametrize("name", sorted(set(names()) - set(NOT_OURS)))
def test_documented_exchange(name: str) -> None:
    """The server answers a documented request in the documented shape."""
    found = list(replay(name))

    assert [] == found


def test_not_ours_exist() -> None:
    """Every sample that is left out is a sample."""
    missing = set(NOT_OURS) - set(names())

    assert set() == missing


def test_other_paths() -> None:
    """A path that is not one of AIMMS is not answered."""
    world = World()
    found = world.aimms.handle(Request("GET", "/secure/api/v2.0/jobs"), world.now)

    assert found is None


@pytest.mark.parametrize(
    "url",
    ["/api/v2", "/api/v2/nope", "/pro-api/v2/tasks/x/y/z", "/api/v2/tasks/a/logs"],
)
def test_unknown_path(url: str) -> None:
    """An unknown path below an API is 404 with a message."""
    answer = World().ask("GET", url)

    assert (404, "NotFound") == (answer.status, answer.json()["errorId"])


@pytest.mark.parametrize(
    ("method", "url", "allowed"),
    [
        ("PATCH", "/api/v2/tasks", "GET"),
        ("POST", "/pro-api/v2/version", "GET"),
        ("PATCH", "/pro-api/v2/tasks/x", "DELETE, GET, PUT"),
        ("DELETE", "/pro-api/v1/tasks/x/response", "GET"),
    ],
)
def test_other_methods(method: str, url: str, allowed: str) -> None:
    """Where something is served, other methods are refused with those that it takes."""
    answer = World().ask(method, url)

    assert (405, f"{method} is not served here: {allowed}") == (
        answer.status,
        answer.json()["message"],
    )


def test_head() -> None:
    """A HEAD is answered as a GET is; the shell leaves the body out."""
    answers = [World().ask(method, "/api/v2/version") for method in ("GET", "HEAD")]

    assert 200 == answers[0].status
    assert answers[0].body == answers[1].body


def test_key() -> None:
    """The cloud's URLs ask for the key, under any spelling of its header."""
    world = World(api_key="sesame")
    found = [
        world.ask("GET", "/pro-api/v2/tasks", headers=headers).status
        for headers in ({}, {"apiKey": "wrong"}, {"APIKEY": "sesame"})
    ]

    assert [401, 401, 200] == found


def test_key_is_ignored_locally() -> None:
    """The local URLs need no key, unless they are guarded."""
    found = [
        World(api_key="sesame", guard_local=guarded).ask("GET", "/api/v2/tasks").status
        for guarded in (False, True)
    ]

    assert [200, 401] == found


def test_local_and_cloud_are_two_servers() -> None:
    """A task of one server is not known to the other."""
    world = World()
    task_id = world.submit("/api/v2/tasks/Test")
    found = [
        world.ask("GET", f"{base}/tasks/{task_id}").status
        for base in ("/api/v1", "/api/v2", "/pro-api/v1", "/pro-api/v2")
    ]

    assert [200, 200, 404, 404] == found


@pytest.mark.parametrize("state", [State.FAILED, State.INTERRUPTED, None])
def test_no_response(state: State | None) -> None:
    """A task that did not complete has no response."""
    world = World()
    task_id = world.submit()
    if state is not None:
        (task,) = world.starts()
        world.end(task, state, content=b"partial")
    answer = world.ask("GET", f"/api/v2/tasks/{task_id}/response")

    assert (404, "NoResponse") == (answer.status, answer.json()["errorId"])


def test_response() -> None:
    """The response is served as it is; without a type it is a stream of bytes."""
    world = World()
    task_id = world.submit()
    (task,) = world.starts()
    world.end(task, content=b"\x00\xff")
    answer = world.ask("GET", f"/api/v2/tasks/{task_id}/response")

    assert (b"\x00\xff", "application/octet-stream") == (answer.body, answer.media_type)


@pytest.mark.parametrize("body", [b"no json", b"[]", b"{}", b'{"setstatus": 1}'])
def test_interrupt_invalid(body: bytes) -> None:
    """An interrupt that says nothing known is 405."""
    world = World()
    answer = world.ask("PUT", f"/pro-api/v2/tasks/{world.submit(CLOUD)}", body)

    assert 405 == answer.status


CLOUD = "/pro-api/v2/tasks/App/1.0/Test"


def test_interrupt_queued() -> None:
    """Interrupting the execution of a queued task ends it at once."""
    world = World()
    task_id = world.submit(CLOUD)
    world.ask(
        "PUT", f"/pro-api/v2/tasks/{task_id}", {"setstatus": "interrupt-execution"}
    )
    found = world.ask("GET", f"/pro-api/v2/tasks/{task_id}").json()

    assert ("failed", []) == (found["state"], world.starts())


def test_interrupt_twice() -> None:
    """The second interrupt of a local task says that it was processed."""
    world = World()
    task_id = world.submit()
    world.turn()
    found = [
        world.ask("PUT", f"/api/v2/tasks/{task_id}").json()["setstatus"]
        for _ in range(2)
    ]

    assert ["interrupt-solve", "interrupt-processed"] == found


@pytest.mark.parametrize("url", ["/api/v1/tasks/Test", CLOUD])
def test_delete(url: str) -> None:
    """A queued task is deleted, and is not known any more."""
    world = World()
    task_id = world.submit(url)
    place = f"{url.partition('/tasks')[0]}/tasks/{task_id}"
    found = [world.ask(method, place).status for method in ("DELETE", "GET", "DELETE")]

    assert [200, 404, 404] == found


def test_delete_running() -> None:
    """A running task is not deleted; once it ended it is."""
    world = World()
    task_id = world.submit(CLOUD)
    (task,) = world.starts()
    refused = world.ask("DELETE", f"/pro-api/v2/tasks/{task_id}").status
    world.end(task, State.FAILED)
    deleted = world.ask("DELETE", f"/pro-api/v2/tasks/{task_id}").status

    assert (405, 200) == (refused, deleted)


def test_intermediate_status() -> None:
    """Without a published status the progress is shown; without that it is 404."""
    world = World()
    task_id = world.submit()
    nothing = world.ask("GET", f"/api/v2/tasks/{task_id}/status").status
    task = world.task(task_id)
    task.progress, task.progress_message = 0.5, "half"
    found = world.ask("GET", f"/api/v2/tasks/{task_id}/status").json()

    assert (404, {"progress": 0.5, "message": "half"}) == (nothing, found)


def test_logs() -> None:
    """The log is served as JSON and as text."""
    world = World()
    task_id = world.submit(CLOUD)
    world.task(task_id).log.append((world.now, "hello"))
    line = "2023-11-23 15:16:38.000000 hello"
    found = [
        world.ask("GET", f"/pro-api/v2/tasks/{task_id}/{path}").body.decode()
        for path in ("logs", "logs/download")
    ]

    assert [json.dumps([line]), f"{line}\n"] == found


def test_stats() -> None:
    """The statistics count the tasks by their words, all or those not ended."""
    world = World()
    for _ in range(4):
        world.submit(CLOUD)
    world.end(world.starts()[0])
    found = [
        world.ask("GET", f"/pro-api/v2/tasks/{path}").json()
        for path in ("stats", "stats/current")
    ]
    current = {"running": 1, "queued": 2}

    assert [{"completed": 1, **current}, current] == found


LISTS: list[tuple[str, list[str]]] = [
    ("", ["task-1", "task-2", "task-3"]),
    ("?appName=One", ["task-1", "task-2"]),
    ("?appName=One&appVersion=2", ["task-2"]),
    ("?offset=1&limit=1", ["task-2"]),
    ("?offset=9", []),
    ("?before=2023-11-24", ["task-1", "task-2"]),
    ("?after=2023-11-24", ["task-3"]),
]


@pytest.mark.parametrize(("query", "expected"), LISTS)
def test_list(query: str, expected: list[str]) -> None:
    """The list is filtered by application and day, and cut into pages."""
    world = World()
    world.submit("/pro-api/v2/tasks/One/1/Test")
    world.submit("/pro-api/v2/tasks/One/2/Test")
    world.now += 86400
    world.submit("/pro-api/v2/tasks/Other/1/Test")
    rows = world.ask("GET", f"/pro-api/v2/tasks{query}").json()["current_batch"]

    assert expected == [row["id"] for row in rows]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "offset=-1", "offset=x", "before=yesterday", "after=2023-99-01"],
)
def test_list_bad_query(query: str) -> None:
    """A parameter that makes no sense is 400 and named."""
    answer = World().ask("GET", f"/pro-api/v2/tasks?{query}")
    name = query.partition("=")[0]

    assert (400, name) == (answer.status, answer.json()["message"][: len(name)])


def test_list_v1() -> None:
    """The list of v1 has filters of its own names."""
    world = World()
    world.submit("/pro-api/v1/tasks/One/1/Test")
    world.submit("/pro-api/v1/tasks/One/2/Test")
    answer = world.ask("GET", "/pro-api/v1/tasks?projectVersion=2").json()

    assert (1, ["task-2"]) == (
        answer["total_size"],
        [row["id"] for row in answer["statuses"]],
    )


def test_local_list_has_no_pages() -> None:
    """The local list ignores filters."""
    world = World()
    world.submit()
    rows = world.ask("GET", "/api/v2/tasks?offset=5").json()

    assert ["task-1"] == [row["id"] for row in rows]


def test_group_index() -> None:
    """The runs of a recurring task are found by their index."""
    world = World()
    task_id = world.submit(f"{CLOUD}?scheduleInterval=1%20hour")
    (first,) = world.starts()
    world.end(first, State.FAILED, message="bad")
    place = f"/pro-api/v2/tasks/{task_id}"
    found: list[Any] = [
        world.ask("GET", f"{place}{query}").json().get("groupIndex", "none")
        for query in ("?groupIndex=0", "?groupIndex=1", "?groupIndex=2", "")
    ]

    assert [0, 1, "none", 1] == found


def test_echo() -> None:
    """The echo sends headers and body back, after the delay."""
    answer = World().ask(
        "PUT", "/api/v2/echo?delay=1500", b"hi", {"X-A": "1", "Content-Length": "2"}
    )

    assert isinstance(answer, Delayed)
    assert (b"hi", {"X-A": "1"}, 1.5) == (
        answer.body,
        dict(answer.headers),
        answer.delay,
    )


@pytest.mark.parametrize("base", ["/api/v2", "/pro-api/v2"])
def test_server(base: str) -> None:
    """Version and health are told."""
    world = World()
    found = [
        world.ask("GET", f"{base}/{p}").status for p in ("version", "health-check")
    ]

    assert [200, 200] == found


def test_notices() -> None:
    """A task with a hook makes calls when its state changes, and no other does."""
    world = World()
    world.submit(CLOUD)
    task_id = world.submit(CLOUD, headers={"taskStateHook": "http://127.0.0.1:9/hook"})
    world.turn()
    calls = [call for each in world.changes() for call in world.aimms.notices(each)]
    base = f"http://127.0.0.1:9/hook?task_uuid={task_id}&task_state="

    assert [("PUT", f"{base}assigned"), ("PUT", f"{base}running")] == [
        (call.method, call.url.partition("&at=")[0]) for call in calls
    ]
