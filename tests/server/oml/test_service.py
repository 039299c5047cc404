"""How the embedded server answers as Oracle Machine Learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import gzip
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from asynctasks.sansio.http import Request, Response
from asynctasks.server.tasks import Changed
from tests.sansio.oml_samples import SAMPLES, UUID, V2_ID, exchange
from tests.server.oml.worlds import NOW, OmlWorld, authorized


IRIS = "select * from IRIS"

V2_UUID = V2_ID[9:45]


# --- the documented exchanges ------------------------------------------------


def pending(world: OmlWorld, name: str) -> None:
    """Have a job of the sample's id that waits."""
    v2 = name.startswith("v2")
    world.ids.append(V2_UUID if v2 else UUID)
    assert (V2_ID if v2 else UUID) == world.submit(
        f"{name[:2]}/do-eval/echo", parameters='{"mean":0.5}', comments="nightly"
    )


def finished(world: OmlWorld, name: str) -> None:
    pending(world, name)
    world.work()


def script(result: Any) -> Callable[[OmlWorld, str], None]:
    """Have a job with this result."""

    def arrange(world: OmlWorld, name: str) -> None:
        world.simulator.service("echo", lambda _: result)
        finished(world, name)

    return arrange


def failed(world: OmlWorld, name: str) -> None:
    world.simulator.service("echo", lambda _: {"a": b"bytes"})
    finished(world, name)


def numbered(world: OmlWorld, name: str) -> None:
    """Have jobs get the sample's ids, and the scripts of the samples."""
    del name
    world.ids.append(UUID)
    numbers = iter([7.203, 0.259])
    rows = [{"RES": 0, "ID": 0}, {"RES": 0.01, "ID": 1}]
    for each in ("pyqFun1", "mygroupcount"):
        world.simulator.service(each, lambda _: None)
    world.simulator.service("compute_random_mean", lambda _: next(numbers))
    world.simulator.service("my_rows", lambda _: rows)
    world.simulator.service("too_long", lambda inputs: [0] * inputs["n"])
    world.simulator.tables["grade"] = [{"gender": "f", "status": 1}]


def long_id(world: OmlWorld, name: str) -> None:
    numbered(world, name)
    world.ids[:] = [V2_UUID]


def preloaded(world: OmlWorld, name: str) -> None:
    world.ask("POST", "v2/preload/conda", {"envName": "seaborn_env"})
    world.wait(27 * 60 + 38)


def another_token(world: OmlWorld, name: str) -> None:
    world.tokens.revoke_all()


def nothing(world: OmlWorld, name: str) -> None:
    """Leave the world as it is."""


ARRANGED: dict[str, Callable[[OmlWorld, str], None]] = {
    "token-password": nothing,
    "token-password-tenant": nothing,
    "token-refresh": nothing,
    "token-refresh-dbt": nothing,
    "token-revoke": nothing,
    "v1-submit-location-plain": numbered,
    "v2-submit": long_id,
    "v1-submit-index-apply-owner": numbered,
    "v1-submit-group-apply-owner": numbered,
    "v1-poll-pending": pending,
    "v2-poll-pending": pending,
    "v2-poll-finished": finished,
    "v1-poll-unauthorized": another_token,
    "v1-poll-unknown-job": nothing,
    "v1-result-not-ready": pending,
    "v1-result-failed": failed,
    "v1-result-rows": script([{"RES": 0, "ID": 0}, {"RES": 0.01, "ID": 1}]),
    "v2-result-comments": finished,
    "v1-sync-do-eval-graphics": nothing,
    "v1-sync-index-apply": numbered,
    "v1-sync-table-apply": numbered,
    "v1-sync-failed": numbered,
    "v1-delete": pending,
    "v2-delete": finished,
    "v2-list": finished,
    "v2-cancel": pending,
    "v2-cancel-not-running": finished,
    "v2-cancel-unknown": nothing,
    "v1-scripts": nothing,
    "v1-environments": nothing,
    "versions": nothing,
    "v1-metadata": nothing,
    "v2-preloads": preloaded,
    "v2-preload": nothing,
    "v2-preload-delete": preloaded,
    "v2-preload-delete-unknown": nothing,
}
"""The state of the world in which each documented answer is given."""

NOT_ANSWERED = {
    "v1-async-group-apply",  # has a test of its own
    "v1-poll-failed-with-500",  # a failed job is one that finished, here
    "v1-result-group-rows",  # groups are written by columns, as REST captures have it
    "v1-submit-location-tenant",  # only asked with a tenant's URL
}


def test_every_sample_is_replayed() -> None:
    """No documented exchange is left out."""
    names = {path.stem for path in SAMPLES.glob("*.json")}

    assert names == set(ARRANGED) | NOT_ANSWERED


@pytest.mark.parametrize("name", sorted(ARRANGED))
def test_documented_exchange(name: str) -> None:
    """The answer has the documented status, links, keys and kinds of values."""
    ((request, expected),) = exchange(name)
    world = OmlWorld()
    ARRANGED[name](world, name)
    found = put(world, request)

    assert [] == list(differences(expected, found))


def test_seed_example() -> None:
    """The documented asynchronous group-apply is answered from submit to result."""
    world = OmlWorld(semicolon=True)
    world.ids.append(UUID)
    found = []
    for request, expected in exchange("v1-async-group-apply"):
        found.append(put(world, request))
        world.work()
        if expected.status != 200:
            assert [] == list(differences(expected, found[-1]))

    result = found[-1].json()["result"]
    assert {
        "SEPAL_LENGTH": {"0": 5.7},
        "SPECIES": {"0": "versicolor"},
        "COUNT": {"0": 5},
    } == result["versicolor_8"]
    assert {"0": 5.6} == result["versicolor_7"]["SEPAL_LENGTH"]
    assert 150 == sum(group["COUNT"]["0"] for group in result.values())


def put(world: OmlWorld, request: Request) -> Response:
    """Put a documented request to the server."""
    return world.ask(request.method, request.url, request.body, dict(request.headers))


def differences(expected: Response, found: Response) -> Iterator[str]:
    """Yield what differs in shape between the documented answer and one of ours."""
    if expected.status != found.status:
        yield f"status {found.status}: {found.body!r}"
    for name in ("Location", "Content-Location"):
        if path(expected, name) != path(found, name):
            yield f"{name}: {found.headers.get(name)}"
    if "Set-Cookie" in expected.headers and "Set-Cookie" not in found.headers:
        yield "no cookie"
    if expected.body:
        yield from compare("$", expected.json(), found.json())
    elif found.body:
        yield f"a body: {found.body!r}"


def path(response: Response, name: str) -> str | None:
    value = response.headers.get(name)
    return None if value is None else urlsplit(value).path.removesuffix(";")


def compare(where: str, expected: Any, found: Any) -> Iterator[str]:
    """Compare keys in their order, and kinds of values; of lists, the first items."""
    if type(expected) is not type(found) and not (where.endswith("RES")):
        yield f"{where} is {found!r} instead of {expected!r}"
    elif isinstance(expected, dict):
        if list(expected) != [key for key in found if key in expected]:
            yield f"{where} has {list(found)} instead of {list(expected)}"
        for key in expected:
            yield from compare(f"{where}.{key}", expected[key], found.get(key))
    elif isinstance(expected, list):
        if expected and found:
            yield from compare(f"{where}[0]", expected[0], found[0])
    elif where in EXACT and expected != found:
        yield f"{where} is {found!r} instead of {expected!r}"


EXACT = {
    "$.expiresIn",
    "$.tokenType",
    "$.status",
    "$.errorCode",
    "$.result[0].status",
    "$.result[0].job_id",
    "$.lifecycle",
    "$.environments[0].duration",
}
"""Values that are compared, not only their kinds."""


# --- who may ask, and where --------------------------------------------------


def test_other_paths() -> None:
    """A path that is not one of OML is left to others."""
    world = OmlWorld()

    assert world.oml.handle(Request("GET", "/api/v2/tasks"), NOW) is None
    assert () == world.oml.notices(Changed(*[None] * 3))  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["", "other"])
def test_token_is_needed(token: str) -> None:
    """Without a valid token nothing is told, not even what there is not."""
    answer = OmlWorld().ask("GET", "v2/nowhere", token=token)

    assert 401 == answer.status
    assert "expired" in answer.json()["errorMessage"]


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "v3/jobs"),
        ("GET", "v1/jobs"),
        ("GET", "v1/preload/conda"),
        ("POST", "v1/jobs/x/cancel"),
        ("POST", "v2/do-eval"),
        ("POST", "v2/do-eval/a/b/c"),
        ("GET", "v2/do-eval/echo"),
        ("GET", "v2/envs/seaborn"),
    ],
)
def test_what_there_is_not(method: str, url: str) -> None:
    """What is not served is refused."""
    world = OmlWorld()
    answer = world.oml.handle(
        Request(method, f"/oml/api/py-scripts/{url}", authorized()), NOW
    )

    assert answer is None or 404 == answer.status


@pytest.mark.parametrize(
    ("method", "url", "allowed"),
    [
        ("PUT", "v2/jobs", "GET"),
        ("POST", "", "GET"),
        ("PATCH", "v2/jobs/x", "DELETE, GET"),
    ],
)
def test_other_methods(method: str, url: str, allowed: str) -> None:
    """Where something is served, other methods are refused with those that it takes."""
    answer = OmlWorld().oml.handle(
        Request(method, f"/oml/api/py-scripts/{url}", authorized()), NOW
    )

    assert answer is not None
    message = f"{method} is not served here: {allowed}"
    assert (405, {"errorMessage": message}) == (answer.status, answer.json())


def test_jobs_of_others() -> None:
    """A user sees no jobs of another one."""
    world = OmlWorld()
    job = world.submit()
    other = world.sign_in("OTHER")

    assert 500 == world.ask("GET", f"v2/jobs/{job}", token=other).status
    assert [] == world.ask("GET", "v2/jobs", token=other).json()["result"]


def test_head() -> None:
    """HEAD is answered as GET is; its body is dropped by who sends it."""
    assert 200 == OmlWorld().ask("HEAD", "v2").status


def test_tenant() -> None:
    """Links stay below the tenant by which the server was asked."""
    root = "/oml/tenants/T/databases/D/api/py-scripts"
    answer = OmlWorld().ask("POST", f"{root}/v2/do-eval/echo", {"asyncFlag": True})

    assert answer.headers["Location"].startswith(f"http://db.example{root}/v2/jobs/")


def test_links_without_a_host() -> None:
    """Who does not say what it calls this server gets relative links."""
    answer = OmlWorld(host="").ask("POST", "v2/do-eval/echo", {"asyncFlag": True})

    assert answer.headers["Location"].startswith("/oml/api/py-scripts/v2/jobs/")


def test_parameters_of_segments() -> None:
    """What follows a semicolon is no part of an id, as for dbt-oracle's requests."""
    world = OmlWorld()
    job = world.submit()

    assert 202 == world.ask("GET", f"v2/jobs/{job};").status
    assert 404 == world.ask("GET", f"v2/jobs/{job};/result").status


# --- headers -----------------------------------------------------------------


def test_end_of_v1() -> None:
    """v1 announces its end, v2 does not."""
    world = OmlWorld()

    assert "Sunset" in world.ask("GET", "v1").headers
    assert "Sunset" not in world.ask("GET", "v2").headers


def test_cookie() -> None:
    """A POST is answered with a cookie for the paths of OML, each with its own."""
    world = OmlWorld()
    cookies = [
        world.ask("POST", "v2/do-eval/echo", {}).headers["Set-Cookie"] for _ in range(2)
    ]

    assert all(each.startswith("JSESSIONID=node0") for each in cookies)
    assert all(each.endswith("; Path=/oml; Secure; HttpOnly") for each in cookies)
    assert cookies[0] != cookies[1]


@pytest.mark.parametrize(("accepted", "packed"), [("gzip, br", True), ("br", False)])
def test_compression(accepted: str, packed: bool) -> None:
    """A long answer is compressed for who accepts that."""
    world = OmlWorld()
    headers = {"Accept-Encoding": accepted}
    call = {"parameters": json.dumps({"a": "x" * 2000})}
    answer = world.ask("POST", "v2/do-eval/echo", call, headers)

    assert packed == ("Content-Encoding" in answer.headers)
    short = world.ask("GET", "v2/envs", headers=headers)
    assert "Content-Encoding" not in short.headers


def test_compressed_bytes() -> None:
    """What is compressed is the answer."""
    world = OmlWorld()
    world.simulator.service("x" * 2000, print)
    plain = world.ask("GET", "v2/scripts")
    packed = world.ask("GET", "v2/scripts", headers={"Accept-Encoding": "gzip"})

    assert plain.body == gzip.decompress(packed.body)
