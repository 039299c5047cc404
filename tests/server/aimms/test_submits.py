"""Submits: which service, when, and who wants to be told."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from asynctasks.server.aimms.submits import AimmsApp, build_hook_url
from asynctasks.server.tasks import Changed, State
from tests.server.aimms.replay import load
from tests.server.worlds import NOW, World


CLOUD = "/pro-api/v2/tasks/App/1.0/Test"


def test_latest_missing() -> None:
    """Without a version that has the tag latest, the documented words are said."""
    world = World(apps={"Testapp": AimmsApp(["1.0"])})
    answer = world.ask("POST", "/pro-api/v2/tasks/Testapp/Test")
    words = "App Testapp with latest tag doesn't exist"

    assert (404, words) == (answer.status, answer.json()["message"])


def test_latest_of_any() -> None:
    """Without a table of applications every one has a latest version."""
    answer = World().ask("POST", "/pro-api/v2/tasks/App/Test").json()

    assert "latest" == answer["appVersion"]


def test_latest() -> None:
    """Without a version the one with the tag latest is taken."""
    world = World(apps={"Testapp": AimmsApp(["1.0", "2.0"], latest="2.0")})
    answer = world.ask("POST", "/pro-api/v2/tasks/Testapp/Test").json()

    assert "2.0" == answer["appVersion"]


@pytest.mark.parametrize("path", ["Other/1.0", "Testapp/3.0"])
def test_unknown_application(path: str) -> None:
    """A table of applications refuses others, and versions it does not have."""
    world = World(apps={"Testapp": AimmsApp(["1.0"])})
    answer = world.ask("POST", f"/pro-api/v2/tasks/{path}/Test")

    assert (404, "ApplicationNotFound") == (answer.status, answer.json()["errorId"])


def test_known_application() -> None:
    """A published version is accepted."""
    world = World(apps={"Testapp": AimmsApp(["1.0"])})
    answer = world.ask("POST", "/pro-api/v1/tasks/Testapp/1.0/Test")

    assert 200 == answer.status


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/pro-api/v1/tasks/Testapp/Test", 404),
        ("/api/v2/tasks/Testapp/1.0/Test", 404),
        ("/pro-api/v2/tasks/Test", 404),
        ("/pro-api/v2/tasks/Testapp/1.0/Nope", 404),
        ("/api/v2/tasks/Nope", 403),
    ],
)
def test_submit_refused(url: str, status: int) -> None:
    """A submit of the wrong form, or to an unknown service, is refused."""
    answer = World().ask("POST", url)

    assert status == answer.status


@pytest.mark.parametrize(
    ("query", "due", "interval"),
    [
        ("", None, None),
        ("scheduleIn=1%20day", NOW + 86400, None),
        ("scheduleIn=PT90S", NOW + 90, None),
        ("scheduleFor=2023-11-24%2016:16:38%20%2B01:00", NOW + 86400, None),
        ("scheduleInterval=1%20hour", None, 3600.0),
        ("scheduleIn=1%20hour&scheduleInterval=PT1H", NOW + 3600, 3600.0),
    ],
)
def test_schedule(query: str, due: float | None, interval: float | None) -> None:
    """A submit in the cloud says when the task may start, and how often."""
    world = World()
    task = world.task(world.submit(f"{CLOUD}?{query}"))

    assert (due, interval) == (task.due, task.order.interval)


@pytest.mark.parametrize(
    "query",
    [
        "scheduleIn=soon",
        "scheduleFor=tomorrow",
        "scheduleFor=9999-12-31",
        "scheduleFor=0001-01-01%20%2B23:59",
        "scheduleInterval=0%20days",
        "scheduleInterval=PT0.0001S",
        "scheduleInterval=PT0.999S",
        "scheduleIn=1%20day&scheduleFor=2023-11-24",
    ],
)
def test_bad_schedule(query: str) -> None:
    """A schedule that makes no sense is refused, and nothing is submitted."""
    world = World()
    answer = world.ask("POST", f"{CLOUD}?{query}")

    assert (400, 0) == (answer.status, world.simulator.submissions.total())


def test_local_query() -> None:
    """Locally the parameters reach the service; in the cloud they are stripped."""
    world = World()
    tasks = [
        world.task(world.submit(f"{url}?a=1&scheduleIn=1%20day"))
        for url in ("/api/v2/tasks/Test", CLOUD)
    ]

    assert [({"a": "1", "scheduleIn": "1 day"}, None), ({}, NOW + 86400)] == [
        (task.order.query, task.due) for task in tasks
    ]


def test_content() -> None:
    """Body and content type are kept as they were sent."""
    world = World()
    headers = {"content-type": "text/csv"}
    task = world.task(world.submit(CLOUD, body=b"a;b", headers=headers))

    assert (b"a;b", "text/csv") == (task.order.payload, task.order.content_type)


@pytest.mark.parametrize(
    "hook",
    [
        "https://example.com/hook",
        "http://169.254.169.254/",
        "http://127.0.0.1.example.com/",
        "http://user@127.0.0.1/",
        "ftp://127.0.0.1/",
        "127.0.0.1:80",
        "http://localhost:99999/",
        "http://127.0.0.1/\udcff",
    ],
)
def test_hook_refused(hook: str) -> None:
    """A hook that is not on this machine, or no URL, is refused with the submit."""
    world = World()
    answer = world.ask("POST", CLOUD, headers={"taskStateHook": hook})

    assert (400, 0) == (answer.status, world.simulator.submissions.total())


def test_hook_is_allowed() -> None:
    """A server may be told to call hooks elsewhere."""
    world = World(hook_allowed=lambda origin: origin == "https://example.com")
    hook = "https://example.com/hook"
    task = world.task(world.submit(CLOUD, headers={"taskStateHook": hook}))

    assert hook == task.order.labels["taskStateHook"]


def test_hook_is_ignored_locally() -> None:
    """The local server has no hooks."""
    world = World()
    task = world.task(world.submit(headers={"taskStateHook": "https://example.com/"}))

    assert {} == task.order.labels


def change(state: State) -> Changed:
    """Make a change of a task."""
    world = World()
    return Changed(world.task(world.submit(CLOUD)), state, NOW)


@pytest.mark.parametrize(
    ("state", "word"), [(State.ASSIGNED, "assigned"), (State.INTERRUPTED, "failed")]
)
def test_hook_url(state: State, word: str) -> None:
    """The hook's own query stays, the key is replaced by a seal."""
    url = build_hook_url("http://127.0.0.1/h?job=1%202&key=secret#x", change(state))
    at = quote("2023-11-23 15:16:38.000000", safe="")
    seal = "0f4a2ef2dc1a6d9ea3a4c2aa52e2ed7bcd4a8ad2d23ad1a1a5e8fd5f4dd7f5a1"
    start = f"http://127.0.0.1/h?job=1%202&task_uuid=task-1&task_state={word}&at={at}"

    assert f"{start}&hmac=" == url[: -len(seal)]
    assert "secret" not in url


def test_hook_url_without_key() -> None:
    """Without a key there is no seal."""
    url = build_hook_url("http://127.0.0.1/h", change(State.RUNNING))

    assert "hmac" not in url


def test_documented_hook() -> None:
    """The call of a hook has the documented method and parameters, in any order."""
    (submit, _), (call, _) = load("cloud-v2-task-state-hook")
    found = build_hook_url(submit["headers"]["taskStateHook"], change(State.RUNNING))

    assert names_of(call["url"]) == names_of(found)


def names_of(url: str) -> set[Any]:
    """Return the names of the parameters of a URL."""
    return {pair.partition("=")[0] for pair in url.partition("?")[2].split("&")}
