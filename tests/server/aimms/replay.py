"""
Puts the documented exchanges to the server and compares the shape of its answers.

The samples are the referee: before each request the world is brought into the state
that the documented answer tells of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import re
from typing import Any
from urllib.parse import unquote

from asynctasks.server.tasks import Order, SimulatedTask, State
from tests.server.worlds import World


__all__ = ["SAMPLES", "load", "names", "replay"]

SAMPLES = Path(__file__).parents[2] / "samples" / "aimms"

WORDS = {
    "queued": State.QUEUED,
    "assigned": State.ASSIGNED,
    "starting": State.ASSIGNED,
    "running": State.RUNNING,
    "executing": State.RUNNING,
    "solving": State.SOLVING,
    "completed": State.COMPLETED,
    "finished": State.COMPLETED,
    "failed": State.FAILED,
    "finished with errors": State.FAILED,
    "interrupted": State.INTERRUPTED,
}

NUMBERS = {"queueTime", "runTime", "queuetime", "runtime"}

CODES = {"returnCode", "returncode"}

MESSAGES = {"errorMessage", "errormessage"}


def names() -> list[str]:
    """Return the names of all samples."""
    return sorted(path.stem for path in SAMPLES.glob("*.json"))


def load(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the requests and answers of a sample."""
    document = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return [(each["request"], each["response"]) for each in document["exchange"]]


def replay(name: str) -> Iterator[str]:
    """Put a sample's requests to the server and yield what differs."""
    world = World(startup=1.0)
    for request, expected in load(name):
        arrange(world, request, expected)
        answer = world.ask(
            request["method"], request["url"], raw(request), request["headers"]
        )
        if answer.status != expected["status"]:
            yield f"status {answer.status} instead of {expected['status']}"
        elif expected["status"] == 200:
            yield from differences(expected["body"], answer.body)


def raw(message: Mapping[str, Any]) -> bytes:
    """Return the bytes of a sample's body."""
    body = message["body"]
    if isinstance(body, dict) and set(body) == {"text"}:
        text: str = body["text"]
        return text.encode()
    return json.dumps(body).encode()


# --- the world as the answer tells of it -------------------------------------


def arrange(world: World, request: dict[str, Any], expected: dict[str, Any]) -> None:
    """Bring the world into the state in which the answer is the documented one."""
    path = re.sub("/+", "/", request["url"].partition("?")[0]).rstrip("/")
    realm = "aimms-cloud" if path.startswith("/pro-api") else "aimms-local"
    _, _, rest = path.partition("/tasks")
    parts = [unquote(part) for part in rest.split("/") if part]
    body = expected["body"]
    if "/tasks" not in path or expected["status"] in {403, 404}:
        return
    if request["method"] == "POST":
        world.simulator.service(parts[-1], lambda inputs: inputs)
        world.ids[:] = [body["id"]]
    elif not parts:
        for row in rows_of(body):
            move(world, make(world, realm, row["id"], row), row)
    else:
        arrange_task(world, realm, parts, request, expected)


def rows_of(body: Any) -> list[dict[str, Any]]:
    """Return the rows of a documented list."""
    if isinstance(body, list):
        return body
    rows: list[dict[str, Any]] = body.get("current_batch", body.get("statuses"))
    if body.get("total_tasks", 0) > len(rows):
        rows = [*rows, {**rows[0], "id": "on-the-next-page"}]
    return rows


def arrange_task(
    world: World,
    realm: str,
    parts: list[str],
    request: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    body = expected["body"]
    known = world.simulator.task(realm, parts[0])
    task = known or make(world, realm, parts[0], body)
    if parts[1:] == ["response"]:
        kind = expected["headers"].get("Content-Type", "")
        end(world, task, State.COMPLETED, content=raw(expected), content_type=kind)
    elif parts[1:] == ["status"]:
        task.published = (raw(expected), "application/json")
    elif request["method"] == "PUT":
        ended = isinstance(body, dict) and body.get("setstatus", "").endswith("ssed")
        move(world, task, {"state": "completed" if ended else "running"})
    elif request["method"] == "DELETE":
        if expected["status"] == 405:
            move(world, task, {"state": "running"})
    elif "prettyFormat" in request["url"]:
        move(world, task, json.loads(body["text"]))
    else:
        move(world, task, body)


def make(world: World, realm: str, task_id: str, body: Any) -> SimulatedTask:
    """Submit a task as the documented answer describes it."""
    facts = body if isinstance(body, dict) else {}
    service = facts.get("serviceName", facts.get("service", "JobSchedule"))
    world.simulator.service(service, lambda inputs: inputs)
    world.ids[:] = [task_id]
    order = Order(
        service=service,
        realm=realm,
        app=facts.get("appName", facts.get("projectName", "Test")),
        version=facts.get("appVersion", facts.get("projectVersion", "1.0")),
        interval=86400.0 if facts.get("scheduleInterval") else None,
        labels={"scheduleInterval": "1 days"} if facts.get("scheduleInterval") else {},
    )
    return world.simulator.submit(order, world.now)


def move(world: World, task: SimulatedTask, body: Mapping[str, Any]) -> None:
    """Move a task on to the documented word."""
    wanted = WORDS[body.get("state", body.get("status", "queued"))]
    if task.interrupt is not None and task.interrupt.value == "execution":
        end(world, task, State.INTERRUPTED, message="interrupted")
        return
    if wanted is State.QUEUED or task.state.ended:
        return
    world.turn()
    if wanted is State.ASSIGNED:
        return
    world.turn(1.0)
    if wanted is State.SOLVING:
        world.simulator.solving(task, world.now)
    elif wanted.ended:
        end(world, task, wanted, message="" if wanted is State.COMPLETED else "bad")


def end(world: World, task: SimulatedTask, state: State, **facts: Any) -> None:
    """End a task; one that ended already gets this outcome."""
    world.turn()
    world.turn(1.0)
    if task.state.ended:
        task.state = State.RUNNING
    code = None if state is State.INTERRUPTED else int(state is State.COMPLETED)
    world.end(task, state, return_code=code, **facts)


# --- the comparison ----------------------------------------------------------


def differences(expected: Any, answer: bytes) -> Iterator[str]:
    """Yield what differs in shape between a documented body and an answer."""
    if isinstance(expected, dict) and set(expected) == {"text"}:
        text = expected["text"]
        if text[:1] == "{":
            yield from compare("$", json.loads(text), json.loads(answer))
            if text.count("\n") != answer.count(b"\n"):
                yield "it is not laid out alike"
        elif text.encode() != answer:
            yield f"the text {answer!r}"
    else:
        yield from compare("$", expected, json.loads(answer))


def compare(where: str, expected: Any, found: Any) -> Iterator[str]:
    """Compare keys, types, words and the format of times."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            # Null and absent mean the same in all documented answers.
            if value is not None or found.get(name) is not None:
                yield from compare(f"{where}.{name}", value, found.get(name))
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{where} has {len(found)} items instead of {len(expected)}"
        for index, (one, other) in enumerate(zip(expected, found, strict=False)):
            yield from compare(f"{where}[{index}]", one, other)
    elif not alike(where.rpartition(".")[2], expected, found):
        yield f"{where} is {found!r} instead of {expected!r}"


def alike(name: str, expected: Any, found: Any) -> bool:
    """Tell whether two plain values of a field say the same kind of thing."""
    if name in NUMBERS:
        return isinstance(found, int | float)
    if name in CODES:
        return isinstance(found, int | None)
    if isinstance(expected, str) and name not in MESSAGES:
        return bool(shape_of(name, expected) == shape_of(name, found))
    return type(expected) is type(found)


def shape_of(name: str, value: Any) -> Any:
    """Return what has to be alike of a text: of times, their format."""
    if name.endswith("At") or name in {"starttime", "scheduleFor"}:
        return re.sub(r"\d", "0", str(value))
    return type(value) if name in {"appVersion", "scheduleInterval"} else value
