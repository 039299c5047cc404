"""
The documented exchanges of Vantiq, put to the server.

The samples are the referee: the world is brought into the state that they tell of,
and what the server says has all that they say. Ids, tokens and numbers that a server
makes up are of the same kind; what is said besides does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any

import pytest

from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.server.live import Calculated, Streamed
from tests.server.vantiq.worlds import Client, Site


SAMPLES = Path(__file__).parents[2] / "samples" / "vantiq"

MADE_UP = {
    "_id",
    "accessToken",
    "createdAt",
    "idToken",
    "name",
    "partitionId",
    "sequenceId",
    "subscriptionName",
}

MADE_UP_WORDS = {"rest-batch", "rest-delete-where", "socket-gone"}
"""Samples whose errors have words that are not the vendor's."""

DIFFERENT = {
    # The same request has two documented refusals; ours is the first.
    ("rest-authenticate-refused", 1),
    # A cut from the middle of a list that is longer than ours.
    ("rest-select-query", 0),
}

ECHO = """PROCEDURE pythonsdk.echo(arg1, arg2)
RETURN {arg1: arg1, arg2: arg2, namespace: Context.namespace()}"""


class Documented(Site):
    """The world that the samples tell of."""

    def __init__(self, name: str) -> None:
        super().__init__(home="ns1")
        insert = self.desk.insert
        insert("system.namespaces", {"name": "ns2"})
        insert("system.topics", {"name": "/reliable", "isReliable": True})
        insert(
            "system.services", {"name": "my.pkg.Service", "eventTypes": {"Event": {}}}
        )
        insert("system.procedures", {"ruleText": ECHO})
        self.world.procedure("getTime")(lambda: "2026-01-01T00:00:00Z")
        self.world.procedure("countUp")(lambda to: range(1, to + 1))
        self.world.source("mySource", query=lambda _: [{"temperature": 21.5}])
        self.desk.upload("system.documents", "d/e.txt", "text/plain", b"some content")
        self.define()
        rows = {"delete-all": 3, "insert-many": 0}.get(name.removeprefix("rest-"), 1)
        for ident in "abc"[:rows]:
            insert("TestType", {"id": ident, "x": 3.5})
        if name != "rest-insert":
            insert("system.k8sclusters", {"name": "pythonTestCluster"})


def load(name: str) -> dict[str, Any]:
    document = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    found: dict[str, Any] = (
        without_words(document) if name in MADE_UP_WORDS else document
    )
    return found


def names(kind: str) -> list[str]:
    return sorted(path.stem for path in SAMPLES.glob(f"{kind}-*.json"))


# --- REST --------------------------------------------------------------------


def request_of(sample: dict[str, Any]) -> Request:
    """Return the request of an exchange."""
    headers = dict(sample["headers"])
    body = sample.get("body")
    if "multipart" in sample:
        (part,) = sample["multipart"]
        head = (
            f'Content-Disposition: form-data; name="{part["name"]}"; '
            f'filename="{part["filename"]}"\r\nContent-Type: {part["contentType"]}'
        )
        raw = f"--B\r\n{head}\r\n\r\n{part['text']}\r\n--B--\r\n".encode()
        headers["Content-Type"] = "multipart/form-data; boundary=B"
    elif isinstance(body, dict) and set(body) == {"text"}:
        raw = body["text"].encode()
    else:
        raw = json.dumps(body).encode()
    return Request(sample["method"], sample["url"], Headers(headers), raw)


async def answer(site: Site, request: Request) -> Response:
    response = site.service.handle(request, site.now)
    assert response is not None
    if isinstance(response, Calculated):
        response = await response.answer()
    if isinstance(response, Streamed):
        body = b"".join([piece async for piece in response.pieces])
        return Response(response.status, response.headers, body)
    return response


@pytest.mark.parametrize("name", names("rest"))
async def test_rest(name: str) -> None:
    """Each documented request gets the documented answer."""
    site = Documented(name)
    found = []
    for number, exchange in enumerate(load(name)["exchange"]):
        expected = exchange["response"]
        response = await answer(site, request_of(exchange["request"]))
        found += differs(f"{number} status", expected["status"], response.status)
        if (name, number) not in DIFFERENT:
            found += differs_in_body(expected, response)

    assert [] == found


def differs_in_body(expected: dict[str, Any], response: Response) -> Iterator[str]:
    headers = dict(response.headers) | {"Content-Length": str(len(response.body))}
    yield from differs("headers", expected["headers"], headers)
    body = expected["body"]
    if isinstance(body, dict) and set(body) == {"text"}:
        yield from differs("body", body["text"], response.body.decode())
    else:
        yield from differs("body", body, response.json())


def differs(where: str, expected: Any, found: Any) -> Iterator[str]:
    """Yield what is said in a sample and not by the server."""
    last = where.rpartition(".")[2]
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            yield from differs(f"{where}.{key}", value, found.get(key))
    elif isinstance(expected, list) and isinstance(found, list):
        for index, item in enumerate(expected):
            fits = [each for each in found if not [*differs(where, item, each)]]
            if not fits:
                yield f"{where} has nothing like {item!r} ({index}): {found!r}"
    elif last in MADE_UP:
        if type(expected) is not type(found):
            yield f"{where} is {found!r} instead of {expected!r}"
    elif expected != found:
        yield f"{where} is {found!r} instead of {expected!r}"


def without_words(document: Any) -> Any:
    """Return what a sample says, without the words of its errors."""
    if isinstance(document, list):
        return [without_words(each) for each in document]
    if isinstance(document, dict):
        words = {"code", "message", "params"}
        return {n: without_words(v) for n, v in document.items() if n not in words}
    return document


# --- the WebSocket -----------------------------------------------------------


def happen(site: Site, client: Client, expected: dict[str, Any]) -> None:
    """Let happen what a frame of the server tells of."""
    body = expected["body"]
    if expected["status"] == 410:
        site.desk.delete_one("system.types", "TestType")
    elif body.get("op") == "unsubscribe":
        site.world.unsubscribe(body["path"])
    elif body.get("redelivered"):
        site.turn(60.0)
    elif "path" in body:
        publish(site, body["path"], body["value"])


def publish(site: Site, path: str, value: Any) -> None:
    """Let an event happen where the last subscription is."""
    _, root, rest = path.split("/", 2)
    namespace = site.world.broker.subscriptions[-1].namespace
    desk = site.world.desk(namespace=namespace)
    if path.startswith("/topics/my.pkg"):
        desk.publish("services", "my.pkg.Service/Event", value)
    elif root == "topics":
        desk.publish("topics", f"/{rest}".removesuffix("/publish"), value)
    elif root == "sources":
        site.world.receive("mySource", value)
    elif "ars_bulkOperation" in value:
        # REST has no bulk update; what it would tell is what a delete tells.
        site.world.emit(path, value, desk)
    else:
        site.desk.delete("TestType")
        site.desk.insert("TestType", value)


@pytest.mark.parametrize("name", names("socket"))
def test_socket(name: str) -> None:
    """Each documented frame is answered by the documented ones, in their order."""
    site = Documented(name)
    if name == "socket-refused":
        site.world.users.revoke("1234accessToken")
    client = Client(site)
    heard: list[Any] = []
    found: list[str] = []
    known = prepare_resume(site) if name == "socket-resume" else None
    for number, step in enumerate(load(name)["frames"]):
        frame = step["frame"]
        if step["from"] == "client":
            say(client, frame, known)
            continue
        heard += client.hear()
        if not heard:
            happen(site, client, frame)
            heard = client.hear()
        known = known or name_of(heard)
        if name != "socket-persistent-named-apart":
            heard = [each for each in heard if "subscriptionName" not in bare(each)]
        if name == "socket-namespace":
            # The guide says "of the subscriber": ours is the one that it asked for.
            frame["body"].pop("namespace", None)
        found += differs(str(number), frame, heard.pop(0) if heard else None)

    assert [] == found


def bare(frame: dict[str, Any]) -> dict[str, Any]:
    """Return the body of the second frame with a name; of others, nothing."""
    body = frame["body"]
    return body if isinstance(body, dict) and "op" not in body else {}


def name_of(frames: list[Any]) -> str | None:
    """Return the name of a persistent subscription."""
    names = [f["body"].get("name") for f in frames if isinstance(f["body"], dict)]
    return next((name for name in names if name), None)


def say(client: Client, frame: dict[str, Any], known: str | None) -> None:
    """Send a frame of a sample, with the names and numbers of this server."""
    parameters = dict(frame.get("parameters", {}))
    if "subscriptionName" in parameters:
        parameters["subscriptionName"] = known
    if "sequenceId" in parameters:
        parameters |= {"sequenceId": 1, "partitionId": 0}
    client.say(**{**frame, "parameters": parameters})


def prepare_resume(site: Site) -> str | None:
    """Lose the connection of a persistent subscription that has an open event."""
    client = site.connect()
    name = name_of(client.subscribe("/topics/reliable", persistent=True))
    site.desk.publish("topics", "/reliable", {"id": "ACK-1"})
    client.socket.lost()
    return name
