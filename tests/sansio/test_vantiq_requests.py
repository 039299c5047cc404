"""What is asked of Vantiq: the documented requests, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
import json
import traceback
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.http import Headers, Request
from asynctasks.sansio.values import Currency
from asynctasks.sansio.vantiq import VantiqResources as Names
from asynctasks.sansio.vantiq_arguments import (
    build_part,
    count_query,
    select_query,
)
from asynctasks.sansio.vantiq_auth import VantiqAuth
from asynctasks.sansio.vantiq_requests import Api, Batched, dump, quote_id
from tests.vantiq_scripted import sample, samples


API = Api("https://dev.example")
TOKEN = "1234accessToken"
ECHO = {"arg1": "I am argument 1", "arg2": "I am argument 2"}
QUERY = select_query(
    ["name", "a b"],
    {"$or": [{"name": "ArsType"}, {"name": "ArsTopic"}]},
    {"name": -1},
    5,
    {"page": "2"},
)
SIGNED = {"Authorization": f"Bearer {TOKEN}"}


def post(resource: str, key: str | None, instance: Any, **more: Any) -> Request:
    return API.send("POST", resource, key, instance=instance, **more)


BUILT: dict[str, Callable[[], Request]] = {
    "authenticate": lambda: API.authenticate("someuser", "trulySecret"),
    "authenticate-refused": lambda: API.authenticate("someuser", "wrong"),
    "refresh": lambda: API.refresh(TOKEN),
    "revoke": lambda: API.revoke(TOKEN),
    "select": lambda: API.get(Names.TYPES),
    "select-query": lambda: API.get(Names.TYPES, query=QUERY),
    "select-custom": lambda: API.get(
        "TestType", query=select_query(None, {}, None, None, None)
    ),
    "select-one": lambda: API.get(Names.TYPES, "ArsNamespace"),
    "select-one-missing": lambda: API.get(Names.K8S_CLUSTERS, "foo"),
    "unknown-resource": lambda: API.get("system.junkola"),
    "insert": lambda: post(Names.K8S_CLUSTERS, None, {"name": "pythonTestCluster"}),
    "insert-many": lambda: post("TestType", None, [{"id": "a"}, {"id": "b"}]),
    "upsert": lambda: post(
        Names.K8S_CLUSTERS,
        None,
        {"name": "pythonTestCluster", "ingressDefaultNode": "some-new-node"},
        query={"upsert": "true"},
    ),
    "update": lambda: API.send(
        "PUT",
        Names.K8S_CLUSTERS,
        "pythonTestCluster",
        instance={"name": "pythonTestCluster", "ingressDefaultNode": "other-node"},
    ),
    "patch": lambda: API.send(
        "PATCH",
        "TestType",
        "a",
        instance=[{"op": "replace", "path": "/x", "value": 2}],
    ),
    "delete-all": lambda: API.delete("TestType", query={"count": "true"}),
    "delete-where": lambda: API.delete(
        Names.K8S_CLUSTERS,
        query={
            "count": "true",
            **select_query(None, {"name": "ratherUnlikelyName"}, None, None, None),
        },
    ),
    "delete-one": lambda: API.delete(Names.K8S_CLUSTERS, "pythonTestCluster"),
    "count": lambda: API.get(Names.TYPES, query=count_query({"resourceName": "types"})),
    "query": lambda: post(Names.SOURCES, "mySource", {"path": "/now"}, suffix="/query"),
    "execute": lambda: API.execute("pythonsdk.echo", ECHO),
    "execute-positional": lambda: API.execute("pythonsdk.echo", [1, 2]),
    "execute-without-parameters": lambda: API.execute("getTime", None),
    "execute-stream": lambda: API.execute(
        "countUp",
        {"to": 3},
        None,
        {"stream": "true", "maxBufferSize": "1024", "maxFlushInterval": "-1"},
        streamed=True,
    ),
    "publish-topic": lambda: post(
        Names.TOPICS, "/test/pythonsdk/topic", {"testValue": "topic value"}
    ),
    "publish-service": lambda: post(Names.SERVICES, "my.pkg.Service/Event", {"m": 1}),
    "publish-source": lambda: post(Names.SOURCES, "mySource", {"m": 1}),
    "namespace-users": lambda: API.get(
        Names.NAMESPACES, "ns1", suffix="/authorizedUsers"
    ),
    "upload": lambda: API.upload(
        Names.DOCUMENTS,
        build_part(b"some content", "text/plain", "d/e.txt", None),
        boundary="b",
    ),
    "download": lambda: API.download("/docs/d/e.txt"),
    "batch": lambda: API.batch(
        [
            Batched(
                method="GET",
                headers=SIGNED,
                uri="custom/TestType?limit=1&count=true",
            ),
            Batched(method="GET", headers=SIGNED, uri="custom/TestType/b"),
        ]
    ),
}


def signed(request: Request, documented: dict[str, str]) -> Headers:
    """Return the headers as the driver sends them."""
    auth = VantiqAuth(API)
    auth.accept(TOKEN, None, 0.0)
    auth.namespace = documented.get("X-Target-Namespace")
    auth.impersonated = documented.get("X-Impersonate-User")
    given_headers = Headers(request.headers)
    return (
        given_headers if request.anonymous else given_headers.replaced(auth.headers())
    )


@pytest.mark.parametrize("name", samples("rest"))
def test_documented_requests(name: str) -> None:
    """Each documented request is built as it stands, but for a form's boundary."""
    documented = sample(name)["exchange"][0]["request"]
    built = BUILT[name.removeprefix("rest-")]()
    headers = dict(signed(built, documented["headers"]))
    if "multipart" in documented:
        assert headers.pop("Content-Type").startswith("multipart/form-data")

    assert (documented["method"], documented["url"], documented["headers"]) == (
        built.method,
        built.url,
        headers,
    )
    if isinstance(built.body, bytes):
        body = documented["body"]
        raw = isinstance(body, dict) and set(body) == {"text"}
        text = body["text"] if raw else json.dumps(body)
        assert text == built.body.decode()


@pytest.mark.parametrize("pair", [("ann", "hidden\ud800"), ("hidden\ud800", "x")])
def test_credentials_that_are_no_unicode(pair: tuple[str, str]) -> None:
    """A password that cannot be sent is in no text of the error."""
    with pytest.raises(InvalidArgument, match="valid Unicode") as caught:
        API.authenticate(*pair)

    assert "hidden" not in "".join(traceback.format_exception(caught.value))


def test_every_documented_request_is_built() -> None:
    """There is a builder for each sample, and none without."""
    assert {name.removeprefix("rest-") for name in samples("rest")} == set(BUILT)


# --- what may be repeated ----------------------------------------------------


@pytest.mark.parametrize("name", sorted(BUILT))
def test_only_reads_are_replayable(name: str) -> None:
    """A read may be sent again although it may have arrived; nothing else."""
    request = BUILT[name]()

    assert ("GET" == request.method) == request.replayable


# --- paths and ids -----------------------------------------------------------


def test_prefix_and_version() -> None:
    """A path below the server, and the version, are in every path."""
    api = Api("https://dev.example", "/gate", "2")

    assert [
        "/gate/api/v2/resources/custom/T",
        "https://dev.example/gate/api/v2/wsock/websocket",
        "/gate/api/v2/_status",
        "/gate/authenticate",
        "/gate/docs/x",
    ] == [
        api.path("T"),
        api.socket.url,
        api.status.url,
        api.authenticate("u", "p").url,
        api.download("docs/x").url,
    ]


@pytest.mark.parametrize(
    ("resource_id", "quoted"),
    [
        ("plain-Id_1.2", "plain-Id_1.2"),
        ("/a/b", "/a/b"),
        ("a b/é", "a%20b/%C3%A9"),
        ("a?b#c", "a%3Fb%23c"),
        ("50%", "50%25"),
        ("a%2Fb", "a%252Fb"),
        (":@!$'()*,;=~+&", ":@!$'()*,;=~+&"),
    ],
)
def test_ids_are_quoted(resource_id: str, quoted: str) -> None:
    """Nothing in an id can end the path; what is harmless stays readable."""
    assert quoted == quote_id(resource_id)


@pytest.mark.parametrize(
    "resource_id",
    ["", "..", "../users/x", "a/../b", "%2e%2e/x", "a\nb", None, 7],
)
def test_ids_that_are_refused(resource_id: Any) -> None:
    """An id that is empty, climbs or holds controls is refused."""
    with pytest.raises(InvalidArgument):
        quote_id(resource_id)


@pytest.mark.parametrize("resource", ["", "system.", "a/..", None])
def test_resources_that_are_refused(resource: Any) -> None:
    """A resource has a name, and it does not climb."""
    with pytest.raises(InvalidArgument):
        API.path(resource)


def test_type_names_are_one_segment() -> None:
    """A slash in the name of a type does not make a path of it."""
    assert "/api/v1/resources/custom/a%2Fb" == API.path("a/b")


@given(st.text(min_size=1))
def test_any_id_stays_in_its_place(resource_id: str) -> None:
    """Whatever the id, it changes neither the query nor the folder, or is refused."""
    try:
        path = API.path("T", resource_id)
    except InvalidArgument:
        return

    assert path.startswith("/api/v1/resources/custom/T/")
    assert not {"?", "#", " "} & set(path)
    assert not {".", ".."} & set(path.split("/"))


# --- queries and bodies ------------------------------------------------------


def test_queries_are_quoted_as_forms() -> None:
    """A query is quoted as aiohttp does it, plus signs for blanks included."""
    text = "".join(map(chr, range(0x20, 0x7F))) + "é"
    url = API.get("T", query={"q": text}).url

    assert (
        "q=+!%22%23$%25%26'()*%2B,-./0123456789:%3B%3C%3D%3E?@ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        "%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%C3%A9"
    ) == url.partition("?")[2]


def test_json_is_as_python_writes_it() -> None:
    """Bodies have Python's separators and escapes; values their external form."""
    row = {
        "a": "é",
        "b": [1, None, 1.5],
        "c": Decimal("1.50"),
        "d": Currency(2, "EUR"),
        "e": datetime(2026, 1, 31, tzinfo=UTC),
        "f": b"x",
    }

    assert (
        '{"a": "\\u00e9", "b": [1, null, 1.5], "c": "1.50", "d": "EUR:2", '
        '"e": "2026-01-31T00:00:00Z", "f": "eA=="}'
    ) == dump(row)


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_what_json_cannot_say(value: Any) -> None:
    """What JSON has no word for is refused before anything is sent."""
    with pytest.raises((TypeError, ValueError)):
        dump(value)


def test_headers_of_an_execution() -> None:
    """A caller's headers go along, but the type of the body is ours."""
    given_headers = {"X-Y": "z", "content-type": "text/plain"}
    request = API.execute("p", None, given_headers)

    assert {"X-Y": "z", "Content-Type": "application/json"} == dict(request.headers)
    assert {"X-Y": "z", "content-type": "text/plain"} == given_headers


# --- documents ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "url", "anonymous"),
    [
        ("/docs/a b", "/docs/a%20b", False),
        ("docs/a", "/docs/a", False),
        ("/docs/a%20b?v=1", "/docs/a%20b?v=1", False),
        ("/docs/a#b", "/docs/a%23b", False),
        ("https://dev.example", "/", False),
        ("https://dev.example//other.example/x", "/other.example/x", False),
        ("https://dev.example?v=1", "/?v=1", False),
        ("https://dev.example/docs/a", "/docs/a", False),
        ("https://DEV.example:443/docs/a", "/docs/a", False),
        ("https://other.example/x", "https://other.example/x", True),
        ("http://dev.example/x", "http://dev.example/x", True),
        ("https://dev.example:8443/x", "https://dev.example:8443/x", True),
        ("//other.example/x", "https://other.example/x", True),
    ],
)
def test_downloads(path: str, url: str, anonymous: bool) -> None:
    """A path stays at the server; another origin is asked without credentials."""
    request = API.download(path)

    assert (url, anonymous, True) == (request.url, request.anonymous, request.streamed)


@pytest.mark.parametrize(
    "path",
    [
        "",
        None,
        "ftp://x/y",
        "https://u:p@dev.example/x",
        "https://[::1/x",
        "//[x",
        "/docs/a\nb",
        "/docs/a\tb",
        "/docs/\ud800",
        "https://dev.example:port/x",
    ],
)
def test_downloads_that_are_refused(path: Any) -> None:
    """What is neither a path nor a URL of the web is refused."""
    with pytest.raises(InvalidArgument, match="path"):
        API.download(path)
