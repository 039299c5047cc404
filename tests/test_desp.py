"""The client for DESP, with what only DESP has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asynctasks.desp import DespClient, DespResources
from asynctasks.exceptions import (
    AuthenticationFailed,
    Conflict,
    InvalidArgument,
    NotFound,
    SubmitOutcomeUnknown,
    TaskFailed,
    UnsupportedOperation,
)
from asynctasks.sansio import codec
from asynctasks.sansio.auth import NoAuth, api_key
from asynctasks.sansio.desp import DespDialect
from asynctasks.sansio.desp_jobs import OutputFile
from asynctasks.sansio.desp_resources import RESOURCES
from asynctasks.sansio.dialect import Payload, Prepared
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskState
from asynctasks.server.desp.catalogue import Input, describe
from asynctasks.server.faults import Fault
from asynctasks.server.simulator import Simulator
from asynctasks.testing import MemoryTransport, build_simulator


pytestmark = pytest.mark.virtual_time

URL = "https://insula.test"
ROOT = "/secure/api/v2.0"
TOKEN_URL = f"{URL}/realms/desp/protocol/openid-connect/token"

EVERY_SECOND = PollPolicy(
    wait_initial=1.0, wait_max=1.0, wait_exp_base=1.0, wait_jitter=0.0
)


@pytest.fixture
def simulator() -> Simulator:
    """Provide a world whose services are awaited on the test's own clock."""
    simulator = build_simulator(parallel=10)

    @simulator.service("Join")
    @describe(id=20, inputs=[Input("s2_input"), Input("s3_input")])
    async def join(inputs: Any) -> str:
        return f"{inputs['s2_input']} {inputs['s3_input']}"

    @simulator.service("Many")
    @describe(id=30, outputs=("one", "two"))
    async def many(inputs: Any) -> Any:
        return {"one": ["a", "b"], "two": "c"}

    @simulator.service("Slow")
    @describe(id=31, kind="PARALLEL_PROCESSOR", parallel_input="value")
    async def slow(inputs: Any) -> Any:
        await asyncio.sleep(60)
        if inputs["value"] == "bad":
            raise RuntimeError("a bad value")
        return inputs["value"]

    @simulator.service("Costly")
    @describe(id=32, cost=5.0)
    async def costly(inputs: Any) -> None:
        return None

    del simulator.services["TestProcessor"]
    return simulator


@pytest.fixture
async def transport(simulator: Simulator) -> AsyncIterator[MemoryTransport]:
    """Provide the world, which wants a key."""
    async with MemoryTransport(simulator, api_key="sesame") as transport:
        yield transport


@pytest.fixture
async def client(transport: MemoryTransport) -> AsyncIterator[DespClient]:
    """Provide a client of it."""
    async with DespClient(
        f"{URL}/", username="me", token="sesame", transport=transport, poll=EVERY_SECOND
    ) as client:
        yield client


SEED = {"s2_input": "Insula is", "s3_input": "great!"}


def posts(transport: MemoryTransport, tail: str) -> list[Request]:
    return [each for each in transport.requests if each.path.endswith(tail)]


# --- who and where -----------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [URL, f"{URL}/", f"{URL}{ROOT}", f"{URL}{ROOT}/", f"{URL}:443"],
)
def test_url(url: str) -> None:
    """A base URL is good with a slash, the API's path, both or neither."""
    client = DespClient(url)

    assert DespDialect(origin=URL) == client.dialect
    assert URL == client.origin


def test_platform_below_a_path() -> None:
    """A path before the API's own is kept."""
    dialect = DespClient(f"{URL}/insula/").dialect

    assert DespDialect(origin=URL, prefix="/insula") == dialect


@pytest.mark.parametrize(
    "given",
    [
        {"username": "me"},
        {"token": "x"},
        {"username": "me", "token": "x", "access_token": "y"},
        {"access_token": "y", "auth": NoAuth()},
    ],
)
def test_mixed_credentials(given: Any) -> None:
    """Credentials are given in one way, and whole."""
    with pytest.raises(InvalidArgument):
        DespClient(URL, **given)


async def test_basic(client: DespClient, transport: MemoryTransport) -> None:
    """An API key is sent by Basic; a wrong one is refused."""
    user = await client.current_user()
    wrong = DespClient(URL, username="me", token="wrong", transport=transport)
    with pytest.raises(AuthenticationFailed):
        await wrong.current_user()

    assert "me" == user["name"]


async def test_access_token(transport: MemoryTransport) -> None:
    """A ready token is sent as it is, and may be fetched; any auth will do."""

    async def fetch() -> str:
        return "sesame"

    for given in ({"access_token": "sesame"}, {"access_token": fetch}):
        client = DespClient(URL, transport=transport, **given)  # type: ignore[arg-type]

        assert "user" == (await client.current_user())["name"]
    stranger = DespClient(URL, auth=api_key("x"), transport=transport)
    with pytest.raises(AuthenticationFailed):
        await stranger.current_user()


async def test_oauth2(transport: MemoryTransport) -> None:
    """A token is asked for once by many, refreshed before its end, never by many."""
    async with DespClient.oauth2(
        URL,
        username="me",
        password="sesame",
        token_url=TOKEN_URL,
        transport=transport,
    ) as client:
        for _ in range(3):
            users = await asyncio.gather(*[client.current_user() for _ in range(20)])

            assert {"me"} == {user["name"] for user in users}
            await asyncio.sleep(280)
    grants = [each.body for each in posts(transport, "/token")]

    assert 3 == len(grants)
    assert [b"password", b"refresh_token", b"refresh_token"] == [
        kind
        for body in grants
        for kind in (b"password", b"refresh_token")
        if b"grant_type=" + kind in (body if isinstance(body, bytes) else b"")
    ]


class Revoking:
    """A service that refuses each token but the last that it gave out."""

    def __init__(self) -> None:
        self.grants = 0

    async def __call__(self, request: Request) -> Response:
        await asyncio.sleep(1)
        if request.path.endswith("/token"):
            self.grants += 1
            return Response(200, body=b'{"access_token": "t%d"}' % self.grants)
        if request.headers["Authorization"] != f"Bearer t{self.grants}":
            return Response(401)
        return Response(200, body=b'{"status": "RUNNING"}')


async def test_401_among_many() -> None:
    """A token that is refused in mid-flight is renewed once, for 500 open tasks."""
    service = Revoking()
    async with DespClient.oauth2(
        URL,
        username="me",
        password="sesame",
        token_url=TOKEN_URL,
        transport=MemoryTransport(service),
    ) as client:
        await client.poll("1")
        service.grants += 1  # revoked
        looks = [client.poll(str(n)) for n in range(500)]
        statuses = await asyncio.gather(*looks)

    assert {TaskState.RUNNING} == {status.state for status in statuses}
    assert 3 == service.grants


# --- submit ------------------------------------------------------------------


async def test_seed(client: DespClient, tmp_path: Path) -> None:
    """The guide's job is submitted, awaited, and its file is downloaded."""
    collection = await client.insert(
        DespResources.COLLECTIONS, {"name": "mine", "fileType": "OUTPUT_PRODUCT"}
    )
    outputs = {"result": collection["identifier"]}
    task = await client.submit("20", SEED, outputs=outputs, check_inputs=True)
    rows = await task.result()
    [path] = await client.download_outputs(task, tmp_path / "new" / "folder")
    whole = await task.download(tmp_path / "one")

    assert [collection["identifier"]] == [
        row["metadata"]["properties"]["collection"] for row in rows
    ]
    assert ["Insula is great!"] * 2 == [path.read_text(), whole.read_text()]


async def test_prepare_and_launch(
    client: DespClient, transport: MemoryTransport
) -> None:
    """Both steps are there by themselves; nothing runs before the second."""
    prepared = await client.prepare("20", SEED)
    again = await client.prepare("20", SEED, label="again")
    before = posts(transport, "/launch")
    tasks = [await client.launch(each) for each in (prepared, again)]
    for task in tasks:
        await task

    assert ([], prepared.config_id) == (before, again.config_id)
    assert ["1", "2"] == [task.id for task in tasks]


async def test_name_is_looked_up_once(
    client: DespClient, transport: MemoryTransport
) -> None:
    """A service may be named; its id is asked for once."""
    tasks = [await client.submit("Join", SEED) for _ in range(3)]
    lists = posts(transport, "/services")

    assert (1, "Join") == (len(lists), tasks[0].ref.service)
    with pytest.raises(InvalidArgument, match="Nope"):
        await client.submit("Nope", {})


async def test_parent_of_a_submit(client: DespClient) -> None:
    """A job can be attached to another, by handle or id."""
    above = await client.submit("20", SEED)
    below = [
        await client.submit("20", {**SEED, "s2_input": str(n)}, parent=parent)
        for n, parent in enumerate((above, above.id))
    ]
    found = await client.sub_jobs(above)

    assert [task.id for task in below] == [task.id for task in found]
    assert found[0].last_status is not None


async def test_bodies_are_refused(client: DespClient) -> None:
    """There are no submits of content."""
    with pytest.raises(UnsupportedOperation):
        await client.submit("20", content=b"raw")


async def test_misspelt_option_is_refused(client: DespClient) -> None:
    """An option that there is not would do nothing; it is named, with the others."""
    misspelt: Any = {"output": {"result": "c"}}
    with pytest.raises(TypeError, match=r"no option 'output'; it has: .*outputs"):
        await client.submit("20", **misspelt)


async def test_max_cost(client: DespClient, transport: MemoryTransport) -> None:
    """What would cost too much is not launched."""
    with pytest.raises(InvalidArgument, match="estimates 5"):
        await client.submit("32", max_cost=4.0)
    prepared = await client.prepare("32", max_cost=5.0)
    config = prepared.config_id
    assert config is not None
    estimates = [await client.estimate_cost(each) for each in (prepared, config)]

    assert [] == posts(transport, "/launch")
    assert [5.0, 5.0] == [each.cost for each in estimates]


async def test_check_inputs(client: DespClient, transport: MemoryTransport) -> None:
    """Inputs that do not fit are refused before anything is stored."""
    with pytest.raises(InvalidArgument, match="needs the input"):
        await client.submit("20", {"s2_input": "x"}, check_inputs=True)

    assert [] == posts(transport, "/jobConfigs/")


async def test_equal_configurations_take_turns() -> None:
    """Launches of one configuration never overlap; those of others do."""
    under_way: list[str] = []
    most: dict[str, int] = {}

    async def answer(request: Request) -> Response:
        config = request.path.split("/")[-2]
        under_way.append(config)
        most[config] = max(most.get(config, 0), under_way.count(config))
        most["all"] = max(most.get("all", 0), len(under_way))
        await asyncio.sleep(10)
        under_way.remove(config)
        return Response(202, body=b'{"id": 1}')

    async with DespClient(URL, transport=MemoryTransport(answer)) as client:
        view = client.with_auth(NoAuth())
        prepared = store()
        launches = [c.launch(p) for p in prepared for c in (client, view, client)]
        await asyncio.gather(*launches)

    assert {"1": 1, "2": 1, "all": 2} == most


def store() -> list[Prepared]:
    """Make two configurations without asking."""
    return [
        Prepared(service="20", payload=Payload(), config_id=number)
        for number in ("1", "2")
    ]


async def test_lost_launch(client: DespClient, simulator: Simulator) -> None:
    """A launch whose answer is lost is not repeated, and can be found afterwards."""
    prepared = await client.prepare("20", SEED)
    await client.launch(await client.prepare("20", {**SEED, "s2_input": "other"}))
    since = datetime.now(UTC) - timedelta(minutes=1)
    simulator.faults.add(Fault(drop="answer"), path="/launch$")
    with pytest.raises(SubmitOutcomeUnknown):
        await client.launch(prepared)
    [found] = await client.launched_since(prepared, since)
    later = await client.launched_since(prepared, since + timedelta(days=1))

    assert 2 == simulator.submissions.total()
    assert ["2", []] == [found.id, later]
    assert 1 == len(await found)


async def test_launch_has_its_own_clock() -> None:
    """A launch may take minutes, which no other request may."""

    async def answer(request: Request) -> Response:
        await asyncio.sleep(100)
        return Response(202, body=b'{"id": 1}')

    async with DespClient(URL, transport=MemoryTransport(answer)) as client:
        [prepared, _] = store()
        task = await client.launch(prepared)

    assert "1" == task.id


# --- jobs --------------------------------------------------------------------


async def test_parent(client: DespClient) -> None:
    """A parent with failed parts is over when the others are, and runs again."""
    task = await client.submit("31", {"value": ["good", "bad", "better"]})
    seen = [(s.state, s.word, s.done) async for s in task.updates()]
    with pytest.raises(TaskFailed, match="2 COMPLETED, 1 ERROR"):
        await task
    parts = await client.sub_jobs(task)

    assert (TaskState.FAILED, "ERROR", True) == seen[-1]
    assert ["bad" if s.state is TaskState.FAILED else "" for s in states(parts)] == [
        "",
        "bad",
        "",
    ]
    assert 2 == len(await client.output_files(task))


def states(parts: Any) -> list[Any]:
    return [part.last_status for part in parts]


async def test_cancel_parent(client: DespClient) -> None:
    """A parent that is cancelled while its parts run ends with them."""
    task = await client.submit("31", {"value": ["a", "b"]})
    await asyncio.sleep(2)
    status = await task.cancel(timeout=30)

    assert (True, True) == (status.done, status.cancel_requested)


async def test_failed_job_and_its_relaunch(
    client: DespClient, simulator: Simulator
) -> None:
    """A failed job tells why; run again, it is a new handle of the same id."""
    tries = []

    @simulator.service("Flaky")
    async def flaky(inputs: Any) -> str:
        tries.append(inputs)
        await asyncio.sleep(5)
        if len(tries) == 1:
            raise RuntimeError("not yet")
        return "at last"

    task = await client.submit("Flaky", {"a": "1"})
    with pytest.raises(TaskFailed, match="not yet"):
        await task
    again = await client.relaunch_failed(task)
    status = await again.wait()
    found = client.handle(again.token)

    assert (task.id, 1, TaskState.SUCCEEDED) == (
        again.id,
        status.generation,
        status.state,
    )
    assert task.last_status is not None
    assert TaskState.FAILED is task.last_status.state
    assert 1 == len(await found.result())


async def test_many_jobs_are_watched_through_the_list(
    client: DespClient, transport: MemoryTransport, simulator: Simulator
) -> None:
    """What waits for many jobs reads the list, and no log but that of a failure."""

    @simulator.service("Brief")
    async def brief(inputs: Any) -> str:
        await asyncio.sleep(20)
        if inputs["n"] == "7":
            raise RuntimeError("the seventh")
        return "done"

    tasks = [await client.submit("Brief", {"n": n}) for n in range(20)]
    ends = await asyncio.gather(*[task.wait() for task in tasks])
    failed = [status for status in ends if status.state is TaskState.FAILED]

    assert ["the seventh"] == [status.message for status in failed]
    assert 1 == len(posts(transport, "/logs"))
    assert posts(transport, "/jobs")


async def test_logs_and_terminate(client: DespClient, simulator: Simulator) -> None:
    """A running job has a log, and ends as completed when it is told to."""

    @simulator.service("Talks")
    async def talks(inputs: Any, context: Any) -> None:
        context.log("it begins")
        await asyncio.sleep(1000)

    task = await client.submit("Talks")
    await asyncio.sleep(1)
    await task.status()
    lines = await client.logs(task)
    await client.terminate(task.token)
    status = await task.wait()

    assert ["it begins"] == [line.message for line in lines]
    assert "COMPLETED" == status.word


async def test_quota(client: DespClient, simulator: Simulator) -> None:
    """Jobs above the quota wait in PENDING, and all end."""
    tasks = [await client.submit("31", {"value": [str(n)]}) for n in range(8)]
    await asyncio.sleep(1)
    parts = [(await client.sub_jobs(task))[0] for task in tasks]
    words = [(await part.status()).word for part in parts]
    for task in tasks:
        await task

    assert ["RUNNING"] * 5 + ["PENDING"] * 3 == words


# --- files -------------------------------------------------------------------


async def test_download_outputs(client: DespClient, tmp_path: Path) -> None:
    """All files of a job are streamed into a folder, and never replaced unasked."""
    task = await client.submit("30")
    paths = await client.download_outputs(task, tmp_path, limit=2)
    names = [path.name for path in paths]
    with pytest.raises(InvalidArgument, match="there already"):
        await client.download_outputs(task, tmp_path)
    again = await client.download_outputs(task, tmp_path, replace=True)

    assert ["one-1.txt", "one-2.txt", "two.txt"] == names
    assert ["a", "b", "c"] == [path.read_text() for path in again]
    with pytest.raises(UnsupportedOperation, match="3 files"):
        await task.download(tmp_path / "x")
    with pytest.raises(InvalidArgument):
        await client.download_outputs(task, tmp_path, limit=0)


class Files:
    """A service whose files have hostile names, and that counts downloads."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.at_once = self.most = 0

    async def __call__(self, request: Request) -> Response:
        if request.path.endswith("/dl"):
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            await asyncio.sleep(1)
            self.at_once -= 1
            if "/13/" in request.path:
                return Response(404)
            return Response(200, body=request.path.split("/")[-2].encode())
        if request.path.endswith("/outputFiles"):
            return listed(*self.names)
        return Response(200, body=b'{"id": 1, "status": "COMPLETED"}')


def listed(*names: str) -> Response:
    files = [{"id": n, "filename": name} for n, name in enumerate(names, 10)]
    body = codec.dumps({"_embedded": {"platformFiles": files}})
    return Response(200, Headers({"Content-Type": "application/hal+json"}), body)


async def test_hostile_names(tmp_path: Path) -> None:
    """Names of a service stay in the folder; equal ones get ids; the limit holds."""
    files = Files(
        "e/o/../../a.txt", "e/o/A.TXT", "e/o/..", "e/o/.profile", "e/o/b", "b"
    )
    folder = tmp_path / "here"
    async with DespClient(URL, transport=MemoryTransport(files)) as client:
        with pytest.raises(NotFound):
            await client.download_outputs("1", folder, limit=3)
        files.names = files.names[:3]
        paths = await client.download_outputs("1", folder, limit=3, replace=True)

    assert ["10-a.txt", "11-A.TXT", "download"] == [path.name for path in paths]
    assert ["10", "11", "12"] == [path.read_text() for path in paths]
    assert 3 == files.most
    assert {folder} == {path.parent for path in paths}


async def test_download_file(client: DespClient, tmp_path: Path) -> None:
    """A file is downloaded by its id or itself, under its own name or another."""
    task = await client.submit("20", SEED)
    await task
    [file] = await client.output_files(task)
    own = await client.download_file(file.id, tmp_path)
    mine = await client.download_file(file, tmp_path / "mine.txt")
    with pytest.raises(InvalidArgument, match="there already"):
        await client.download_file(file, tmp_path)
    with pytest.raises(NotFound):
        await client.download_file("999", tmp_path)

    assert ["result.txt", "mine.txt"] == [own.name, mine.name]
    assert own.read_bytes() == mine.read_bytes()
    assert isinstance(file, OutputFile)


async def test_upload(client: DespClient, tmp_path: Path) -> None:
    """A file is uploaded from disk or memory, found, and removed."""
    collection = await client.insert(
        "collections", {"name": "areas", "fileType": "REFERENCE_DATA"}
    )
    path = tmp_path / "area.txt"
    path.write_bytes(b"north")
    row = await client.upload(path, collection, properties={"title": "mine"})
    await client.upload(("other.txt", b"south"), collection["identifier"])
    with pytest.raises(Conflict):
        await client.upload(path, collection)
    where = {"collection": collection}
    found = [
        row["filename"] async for row in client.select("platformFiles", where=where)
    ]
    copy = await client.download_file(str(row["id"]), tmp_path / "copy")
    removed = await client.delete_one("platformFiles", str(row["id"]))

    assert ["1/area.txt", "1/other.txt"] == found
    assert (b"north", True) == (copy.read_bytes(), removed)
    assert 1 == await client.count("platformFiles", where)


# --- resources ---------------------------------------------------------------


async def test_rows_that_are_deleted_while_paging(client: DespClient) -> None:
    """Going through pages while deleting misses no row."""
    rows = [
        await client.insert("collections", {"name": f"{n}", "fileType": "X"})
        for n in range(10)
    ]
    seen = []
    async for row in client.select("collections", page_size=3, sort="id"):
        seen.append(row["id"])
        await client.delete_one("collections", str(row["id"]))

    assert [row["id"] for row in rows] == seen
    assert 0 == await client.count("collections")


async def test_names_of_resources() -> None:
    """The names are those that the verbs know."""
    names = {value for name, value in vars(DespResources).items() if name.isupper()}

    assert set(RESOURCES) == names | {"tasks"}


async def test_collection_is_changed(client: DespClient) -> None:
    """A collection is created, changed, read and removed."""
    row = await client.insert("collections", {"name": "x", "fileType": "X"})
    key = str(row["id"])
    changed = await client.update("collections", key, {"description": "mine"})

    assert ("mine", row["identifier"]) == (
        changed["description"],
        changed["identifier"],
    )
    assert await client.delete_one("collections", key)
    assert await client.select_one("collections", key) is None
