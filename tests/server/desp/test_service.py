"""Insula's half: the recorded exchanges, who is admitted, what is served where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import json
import re
from typing import Any

import pytest

from asynctasks.sansio.http import Headers, Request
from asynctasks.server.desp.store import Job
from asynctasks.server.tasks import Changed, Outcome, State
from tests.sansio.insula import SAMPLES, bytes_of
from tests.server.desp.worlds import NOW, DespWorld


NOT_OURS: Mapping[str, str] = {
    "configs-not-listed": "our lists are all there",
    "download-no-credit": "our downloads cost nothing",
    "job-condition-wait": "nothing tells what it waits for",
    "job-created": "our jobs are queued at once; parents are created",
    "job-omits-nulls": "we write nulls",
    "job-ending": "our outputs are there when the job ends",
    "launch-200": "we answer 202, as most builds do",
    "launch-quota": "our quota keeps jobs waiting",
    "logs-empty": "our log store does not fail",
    "parent-error-while-running": "see test_desp_launch",
    "parent-without-counts": "we count",
}
"""Recorded answers that clients must understand and that we do not give."""

INPUTS = {"s2_input": ["Insula is"], "s3_input": ["great!"]}
COLLECTION = '{"result": "eopaasbb235018ba8342dda1df91a5c3678395"}'

Arrange = Callable[[DespWorld], Any]


def seeded(world: DespWorld) -> Job:
    """Make the recorded configuration 199, and the job 793 of it."""
    world.store.last_ids = {"jobConfigs": 198, "jobs": 792, "platformFiles": 4614}
    job = world.launch({**INPUTS, "collection": [COLLECTION]}, 20)
    world.turn()
    return job


def configured(number: int) -> Arrange:
    def arrange(world: DespWorld) -> None:
        world.store.last_ids = {"jobConfigs": number - 1, "jobs": 4107}
        world.config(INPUTS, 20)

    return arrange


def ended(state: State, **facts: Any) -> Arrange:
    def arrange(world: DespWorld) -> None:
        job = seeded(world)
        world.now += 5
        assert job.task is not None
        world.simulator.finished(job.task, Outcome(state=state, **facts), world.now)

    return arrange


def done(world: DespWorld) -> None:
    facts = {"content": b"Insula is great!", "content_type": "text/plain"}
    ended(State.COMPLETED, **facts)(world)


def waiting(world: DespWorld) -> None:
    """Let the recorded job wait for a worker."""
    world.launch()
    world.launch()
    world.turn()
    seeded(world)


def cancelled(world: DespWorld) -> None:
    waiting(world)
    world.ask("GET", "/jobs/793/cancel")


def pending(world: DespWorld) -> None:
    world.store.quota = world.simulator.quotas["desp:user"] = 0
    seeded(world)


def listed(world: DespWorld) -> None:
    """Register nothing but the guide's service."""
    for name in ("Each", "Pair", "Free"):
        del world.simulator.services[name]


def family(*states: State | None) -> Arrange:
    """Make the parent 4421, with a sub-job in each of the states."""

    def arrange(world: DespWorld) -> None:
        world.store.last_ids = {"jobs": 4420, "jobConfigs": 3319}
        values = [str(n) for n in range(len(states))]
        parent = world.launch({"parallelInputs": values}, 21)
        if State.INTERRUPTED in states:
            world.ask("GET", f"/jobs/{parent.parts[1].id}/cancel")
        world.turn()
        for part, state in zip(parent.parts, states, strict=True):
            assert part.task is not None
            if state not in {None, State.INTERRUPTED}:
                outcome = Outcome(state=state or State.COMPLETED)
                world.simulator.finished(part.task, outcome, world.now)
        world.turn()

    return arrange


def failed(world: DespWorld) -> None:
    ended(State.FAILED, message="no more")(world)
    [job] = world.store.jobs.values()
    assert job.task is not None
    job.task.log.append((NOW, "Step 1 of 3: Data-Fetch"))


def broke(world: DespWorld) -> None:
    configured(199)(world)
    world.store.user("user").credits = 0


def uploadable(world: DespWorld) -> None:
    world.store.last_ids = {"platformFiles": 4699}
    world.ask("POST", "/collections", {"name": "x", "fileType": "REFERENCE_DATA"})
    [collection] = world.store.collections.values()
    collection.identifier = "eopaasbb235018ba8342dda1df91a5c3678395"


def collected(world: DespWorld) -> None:
    world.store.last_ids = {"collections": 41}


def three_services(world: DespWorld) -> None:
    listed(world)
    world.simulator.service("A", lambda inputs: inputs)
    world.simulator.service("B", lambda inputs: inputs)


def stored(world: DespWorld) -> None:
    world.store.last_ids = {"jobConfigs": 198}
    world.config({**INPUTS, "collection": [COLLECTION]}, 20)


def again(world: DespWorld) -> None:
    world.store.last_ids = {"jobConfigs": 198}


COMPLETED = State.COMPLETED

WORLDS: Mapping[str, Arrange] = {
    "cancel": waiting,
    "collections": collected,
    "config-again": again,
    "config-without-accept": again,
    "configs": stored,
    "download": done,
    "estimate": configured(199),
    "estimate-no-credit": broke,
    "file": done,
    "job-cancelled": cancelled,
    "job-completed": done,
    "job-error": failed,
    "job-pending": pending,
    "job-running": seeded,
    "job-waiting": waiting,
    "jobs-search": done,
    "launch-content": configured(199),
    "launch-flat": configured(3039),
    "launch-without-self": configured(3039),
    "logs": failed,
    "outputs": done,
    "outputs-search": done,
    "parent-cancelled": family(COMPLETED, State.INTERRUPTED),
    "parent-completed": family(COMPLETED, COMPLETED),
    "parent-created": family(COMPLETED, None),
    "parent-error": family(COMPLETED, State.FAILED),
    "relaunch-failed": failed,
    "services-pages": three_services,
    "services-seed": listed,
    "sub-jobs": family(COMPLETED, None),
    "terminate": seeded,
    "upload": uploadable,
}
"""The world in which a recorded exchange took place, where it was not empty."""


def guarded(name: str) -> dict[str, Any]:
    """Return what a world asks for."""
    wanted = name in {"unauthorized", "token-refused", "token"}
    return {"api_key": "token"} if wanted else {}


@pytest.fixture(params=sorted({p.stem for p in SAMPLES.glob("*.json")} - set(NOT_OURS)))
def name(request: pytest.FixtureRequest) -> str:
    """Provide the name of a sample whose answers we give."""
    found: str = request.param
    return found


def test_recorded_exchange(name: str) -> None:
    """A recorded request is answered in the recorded shape."""
    document = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    world = DespWorld(**guarded(name))
    if name == "run-seed":
        world.store.last_ids = {"jobConfigs": 198, "jobs": 792}
    if name in WORLDS:
        WORLDS[name](world)
    found = [line for each in document["exchange"] for line in replay(world, each)]

    assert [] == found


def test_not_ours_exist() -> None:
    """Every sample that is left out is a sample."""
    names = {path.stem for path in SAMPLES.glob("*.json")}

    assert set() == set(NOT_OURS) - names


def replay(world: DespWorld, exchange: Mapping[str, Any]) -> Iterator[str]:
    """Put a recorded request to the server and yield what differs."""
    request, expected = exchange["request"], exchange["response"]
    if request["url"].endswith("/jobs/793") and expected["status"] == 200:
        finish(world, expected["body"])
    body = bytes_of(request)
    if "refresh-1" in request["body"].get("text", ""):
        refresh = next(iter(world.desp._tokens._refresh))
        body = body.replace(b"refresh-1", refresh.encode())
    sent = Request(request["method"], request["url"], Headers(request["headers"]), body)
    answer = world.desp.handle(sent, world.now)
    assert answer is not None
    if expected["status"] != answer.status:
        yield f"status {answer.status} instead of {expected['status']}"
        return
    for header in ("Location", "Allow", "Content-Disposition"):
        if (header in expected["headers"]) != (header in answer.headers):
            yield f"{header}: {answer.headers.get(header)}"
    found = answer.body.decode()
    if isinstance(expected["body"], dict) and set(expected["body"]) == {"text"}:
        if expected["body"]["text"] != found:
            yield f"the body {found}"
        return
    yield from compare("$", expected["body"], json.loads(found))


def finish(world: DespWorld, body: Mapping[str, Any]) -> None:
    """Let the job of a run end as the recorded one did."""
    job = world.store.jobs[793]
    if body["status"] == "COMPLETED" and not job.ended:
        world.end(job, content=b"Insula is great!", content_type="text/plain")


OPEN = {"endTime", "outputs", "stage", "startTime", "workerId"}
"""Values that our jobs have, and that the shape of some samples leaves out."""


def compare(where: str, expected: Any, found: Any) -> Iterator[str]:
    """Compare keys, types and words."""
    name = where.rpartition(".")[2]
    if name.startswith("_links"):
        missing = set(expected) - set(found) - {"cancel", "terminate"}
        yield from (f"{where} has no {each}" for each in sorted(missing))
    elif isinstance(expected, dict) and isinstance(found, dict):
        yield from compare_members(where, expected, found)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found) and name != "dataInputs":
            yield f"{where} has {len(found)} items instead of {len(expected)}"
        for one, other in zip(expected, found, strict=False):
            yield from compare(f"{where}[]", one, other)
    elif shape(name, expected) != shape(name, found):
        yield f"{where} is {found!r} instead of {expected!r}"


def compare_members(
    where: str, expected: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterator[str]:
    for key, value in expected.items():
        # Null and absent mean the same; what nobody recorded may be there.
        if value is not None or (found.get(key) is not None and key not in OPEN):
            yield from compare(f"{where}.{key}", value, found.get(key))


WORDS = {"status", "phase", "stage", "fileType", "type", "parent", "error", "role"}


def shape(name: str, value: Any) -> Any:
    """Return what has to be alike of a value."""
    if name in WORDS:
        return value
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return "a time"
    return (
        str
        if isinstance(value, str)
        else float
        if isinstance(value, int | float)
        else value
    )


# --- who is admitted, and where ----------------------------------------------


def test_other_paths() -> None:
    """A path that is not one of Insula is not answered."""
    world = DespWorld()
    urls = ["/api/v2/tasks", "/secure/api/v2.01/jobs", "/secure/api", "/realms/x"]
    found = [world.desp.handle(Request("GET", url), NOW) for url in urls]

    assert [None] * 4 == found


@pytest.mark.parametrize(
    ("method", "url", "status", "allow"),
    [
        ("GET", "/nope", 404, None),
        ("GET", "/jobs/abc", 404, None),
        ("GET", "/jobs/7", 404, None),
        ("GET", "//jobs//", 200, None),
        ("GET", "", 200, None),
        ("PUT", "/jobConfigs", 405, "GET, POST"),
        ("DELETE", "/jobs/7", 405, "GET"),
    ],
)
def test_paths(method: str, url: str, status: int, allow: str | None) -> None:
    """What is not served is 404 without a body, or 405 with what is."""
    answer = DespWorld().ask(method, url)

    assert (status, allow) == (answer.status, answer.headers.get("Allow"))
    assert (status == 200) == bool(answer.body)


def test_nobody_is_told() -> None:
    """Insula has no push."""
    world = DespWorld()
    job = seeded(world)
    assert job.task is not None
    change = Changed(job.task, State.RUNNING, NOW)

    assert () == world.desp.notices(change)


def test_links_lead_back() -> None:
    """Links name the host that was asked."""
    headers = {"Host": "127.0.0.1:8080"}
    found = DespWorld().get("/users/current", headers=headers)

    assert (
        "http://127.0.0.1:8080/secure/api/v2.0/users/1"
        == (found["_links"]["self"]["href"])
    )
