"""
Every public method of every client, found by looking, called with what it needs.

A method that is new is called too; an argument that is new has to be given an
example here, or the tests that use this fail by its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
import inspect
from pathlib import Path
from typing import Any
import warnings

import attrs

from asynctasks import (
    AimmsClient,
    AttemptTimeout,
    Batch,
    Batched,
    DespClient,
    EventStream,
    OAuth2Password,
    OmlClient,
    RecurringTask,
    Rows,
    SubmitOutcomeUnknown,
    TaskClient,
    TaskHandle,
    TaskState,
    TaskStatus,
    Vantiq,
    VantiqResources,
    VantiqTasks,
    bearer,
)
from asynctasks.sansio.dialect import Payload, Prepared


__all__ = [
    "BEARER",
    "CLIENTS",
    "SECRETS",
    "TASK_CLIENTS",
    "Maker",
    "call",
    "calls_of",
    "methods_of",
]

Client = TaskClient | Vantiq

API_KEY = "canary-apikey-51a7"
PASSWORD = "canary-password-62b8"
BEARER = "canary-bearer-73c9"
CLIENT_SECRET = "canary-clientsecret-84d0"
PROXY_PASSWORD = "canary-proxy-95e1"
QUERY_TOKEN = "canary-query-a6f2"
REFRESH_TOKEN = "canary-refresh-b7a3"
ACCESS_TOKEN = "canary-access-c8b4"
ID_TOKEN = "canary-idtoken-d9c5"

SECRETS = (
    API_KEY,
    PASSWORD,
    BEARER,
    CLIENT_SECRET,
    PROXY_PASSWORD,
    QUERY_TOKEN,
    REFRESH_TOKEN,
    ACCESS_TOKEN,
    ID_TOKEN,
)
"""What is planted; no two alike, so that a leak says where it came from."""

TASK = "7c0e5d1a-0000-4000-8000-000000000001"
"""An id that every service might have given."""


@attrs.frozen
class Maker:
    """How a client is made that has secrets."""

    name: str
    make: Callable[..., Client]
    """Takes the URL of the service, and the options of the client."""

    key: str
    """What a server of ours is to accept."""

    service: str = "echo"

    resource: str = "tasks"

    @property
    def __name__(self) -> str:
        return self.name


def aimms_cloud(version: str) -> Callable[..., Client]:
    def make(url: str, **options: Any) -> Client:
        return AimmsClient.cloud(
            url,
            app="Demo",
            version="1",
            api_key=API_KEY,
            api_version=version,
            **options,
        )

    return make


def aimms_local(version: str) -> Callable[..., Client]:
    def make(url: str, **options: Any) -> Client:
        # A local server wants no key; a gateway before it may.
        client = AimmsClient.local(url, api_version=version, **options)
        signed = client.with_auth(bearer(BEARER))
        signed._owner = True
        return signed

    return make


def desp_basic(url: str, **options: Any) -> Client:
    return DespClient(url, username="user", token=API_KEY, **options)


def desp_bearer(url: str, **options: Any) -> Client:
    return DespClient(url, access_token=BEARER, **options)


def desp_oauth(url: str, **options: Any) -> Client:
    auth = OAuth2Password(
        f"{url}/realms/desp/protocol/openid-connect/token",
        username="user",
        password=PASSWORD,
        client_id="app",
        client_secret=CLIENT_SECRET,
    )
    # As it is after a first sign-in: the next renewal sends it.
    auth._refresh_token = REFRESH_TOKEN
    return DespClient(url, auth=auth, **options)


def oml(version: str, **credentials: str) -> Callable[..., Client]:
    def make(url: str, **options: Any) -> Client:
        with warnings.catch_warnings(action="ignore"):
            return OmlClient(url, api_version=version, **credentials, **options)

    return make


def vantiq_tasks(url: str, **options: Any) -> Client:
    client = Vantiq(url, transport=options.get("transport"))
    client.session.auth.obtain_with(PASSWORD, "developer")
    client.session.open()
    tasks = VantiqTasks(client, **options)
    tasks._owns = True
    return tasks


def vantiq(url: str, **options: Any) -> Client:
    client = Vantiq(url, transport=options.get("transport"))
    client.session.open()
    client.session.auth.accept(BEARER, ID_TOKEN, 0.0)
    return client


CREDENTIALS = {"username": "OMLUSER", "password": PASSWORD}

TASK_CLIENTS = [
    Maker("aimms-v1-cloud", aimms_cloud("v1"), API_KEY),
    Maker("aimms-v2-cloud", aimms_cloud("v2"), API_KEY),
    Maker("aimms-v1-local", aimms_local("v1"), BEARER),
    Maker("aimms-v2-local", aimms_local("v2"), BEARER),
    Maker("desp-basic", desp_basic, API_KEY, resource="jobs"),
    Maker("desp-bearer", desp_bearer, BEARER, resource="jobs"),
    Maker("desp-oauth2", desp_oauth, PASSWORD, resource="jobs"),
    Maker("oml-v1", oml("v1", **CREDENTIALS), PASSWORD),
    Maker("oml-v2", oml("v2", **CREDENTIALS), PASSWORD),
    Maker("oml-token", oml("v2", token=BEARER), BEARER),
    Maker("vantiq-tasks", vantiq_tasks, PASSWORD),
]

CLIENTS = [*TASK_CLIENTS, Maker("vantiq", vantiq, BEARER, resource="Task")]

LAST = ("revoke", "close")
"""After these little works: they are called in the end, in this order."""


def methods_of(kind: type) -> list[str]:
    """Return the names of the public methods that an instance has."""
    members = {name: inspect.getattr_static(kind, name) for name in dir(kind)}
    public = [
        name
        for name, member in members.items()
        if not name.startswith("_") and inspect.isfunction(member)
    ]
    first = sorted(name for name in public if name not in LAST)
    return [*first, *(name for name in LAST if name in public)]


def examples(client: Client, maker: Maker, task: str, folder: Path) -> dict[str, Any]:
    """Return an argument for each name that a public method wants."""

    async def callback(*_: Any) -> None:
        await asyncio.sleep(0)

    common = {
        "access_token": BEARER,
        "auth": bearer(BEARER),
        "callback": callback,
        "collection": "collection",
        "content": b"content",
        "content_type": "text/plain",
        "doc_name": "name",
        "error": lost_submit(),
        "file": "7",
        "filename": None,
        "folder": folder / "outputs",
        "group_by": "x",
        "index": 0,
        "inmem": "text",
        "inputs": {"x": 1},
        "instance": {"x": 1},
        "key": "7",
        "msg": {"x": 1},
        "name": "Demo",
        "namespace": "Other",
        "operation": None,
        "operations": [{"op": "replace", "path": "/x", "value": 2}],
        "password": maker.key,
        "path": folder / f"file-{len(list(folder.iterdir()))}",
        "prepared": Prepared(service="echo", payload=Payload(), config_id="7"),
        "procedure_id": "Echo",
        "query": "select * from x",
        "request_id": "/topics/a",
        "requests": [Batched(method="GET", uri="custom/Order")],
        "resource": maker.resource,
        "resource_id": "7",
        "row": {"name": "x"},
        "rows": 1,
        "script": "echo",
        "service": maker.service,
        "since": datetime(2026, 1, 1, tzinfo=UTC),
        "source_id": "source",
        "status": TaskStatus(state=TaskState.SUCCEEDED),
        "subscription_id": "subscription",
        "task": task,
        "times": 1,
        "token": task,
        "username": "developer",
        "where": {"state": "completed"},
    }
    if isinstance(client, TaskClient):
        return {**common, "flow": client.dialect.poll(client.handle(task).ref)}
    vantiq_only = {"path": f"/docs/a?token={QUERY_TOKEN}", "query": {"x": 1}}
    return {**common, **vantiq_only}


def lost_submit() -> SubmitOutcomeUnknown:
    error = SubmitOutcomeUnknown(AttemptTimeout("it took too long"))
    error.service, error.config_id = "echo", "7"
    return error


MORE: dict[tuple[type, str], dict[str, Any]] = {
    (AimmsClient, "submit"): {
        "task_state_hook": f"https://hooks.example/?token={QUERY_TOKEN}"
    },
    (TaskHandle, "result"): {"timeout": 0.1},
    (TaskHandle, "wait"): {"timeout": 0.1},
    (TaskHandle, "cancel"): {"timeout": 0.1},
    (Vantiq, "connect"): {"check": True},
    (Vantiq, "upload"): {"resource": VantiqResources.DOCUMENTS},
    (Vantiq, "publish"): {"resource": VantiqResources.TOPICS, "resource_id": "/a"},
    (Vantiq, "subscribe"): {
        "resource": VantiqResources.TOPICS,
        "resource_id": "/a",
        "timeout": 1.0,
    },
    (Vantiq, "events"): {"resource": VantiqResources.TOPICS, "resource_id": "/b"},
}
"""Arguments that need not be given, and are; or that differ from the examples."""


def arguments(subject: Any, name: str, known: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of one method; all are given by their names."""
    kind = next(
        (kind for kind in type(subject).__mro__ if (kind, name) in MORE), type(subject)
    )
    given = dict(MORE.get((kind, name), {}))
    for parameter in inspect.signature(getattr(subject, name)).parameters.values():
        variadic = parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}
        if parameter.default is parameter.empty and not variadic:
            given.setdefault(parameter.name, known[parameter.name])
    if name == "map":
        given["inputs"] = [{"x": 1}, {"x": 2}]
    return given


async def call(subject: Any, name: str, known: dict[str, Any]) -> Any:
    """Call a method, and take what it gives: awaited, entered, iterated."""
    came = getattr(subject, name)(**arguments(subject, name, known))
    if isinstance(came, asyncio.Task):
        return None
    if isinstance(came, Awaitable):
        came = await came
    if isinstance(came, EventStream):  # of which none will come
        async with came:
            return came
    if isinstance(came, AsyncIterator | Batch):
        return [each async for each in bounded(came)]
    return came


async def bounded(items: AsyncIterator[Any] | Batch) -> AsyncIterator[Any]:
    """Go through the first items."""
    left = 2
    async for item in items:
        yield item
        left -= 1
        if left == 0:
            return


def calls_of(
    client: Client, maker: Maker, folder: Path, task: str = TASK
) -> Iterator[tuple[str, Callable[[], Awaitable[Any]]]]:
    """
    Go through all calls there are: those of the handles and rows, then the client's.

    Each is given as its name, and what makes the call.
    """
    subjects: dict[type, Callable[[], Any]] = {}
    if isinstance(client, TaskClient):
        subjects[TaskHandle] = lambda: client.handle(task)
        subjects[Rows] = lambda: client.select(client.dialect.task_resource)
    if isinstance(client, AimmsClient):
        subjects[RecurringTask] = lambda: client.recurring(task)
    subjects[type(client)] = lambda: client
    for kind, make in subjects.items():
        # The others are those of a coroutine, which is awaited as what select() gives.
        names = ["pages"] if kind is Rows else methods_of(kind)
        for name in names:

            async def one(make: Callable[[], Any] = make, name: str = name) -> Any:
                return await call(make(), name, examples(client, maker, task, folder))

            yield f"{kind.__name__}.{name}", one
