"""Nothing that a caller or a server says leaves its place."""

from __future__ import annotations

import traceback
from urllib.parse import parse_qsl, unquote

from hypothesis import assume, given
from hypothesis import strategies as st
import pytest
import yarl

from asynctasks.exceptions import InvalidArgument, UntrustedUrl
from asynctasks.sansio.urls import (
    MAX_URL,
    hide_secrets,
    is_loopback,
    join_query,
    origin_of,
    resolve_server_url,
    segment,
    split_base,
)


BASE = "https://acme.example/pro-api/v2/tasks/7"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))

# --- segments ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("007", "007"),
        ("a-b_c.d~e", "a-b_c.d~e"),
        ("a/b", "a%2Fb"),
        ("a\\b", "a%5Cb"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a;b=c&d", "a%3Bb%3Dc%26d"),
        ("a%2Fb", "a%252Fb"),
        ("user@host:80", "user%40host%3A80"),
        ("//evil.example", "%2F%2Fevil.example"),
        ("é", "%C3%A9"),
        ("\N{GRINNING FACE}", "%F0%9F%98%80"),
        ("...", "..."),
        ("..a", "..a"),
        ("a..", "a.."),
        ("%", "%25"),
        ("%zz", "%25zz"),
        ("\u2028", "%E2%80%A8"),
    ],
)
def test_segment_encodes(value: str, expected: str) -> None:
    """Whatever could end or change the path is percent-encoded."""
    assert expected == segment(value)


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("", "must not be empty"),
        (".", "must not contain . or .. as a path part"),
        ("..", "must not contain . or .. as a path part"),
        ("../../users/admin", "must not contain . or .. as a path part"),
        ("a/..", "must not contain . or .. as a path part"),
        ("a/./b", "must not contain . or .. as a path part"),
        ("a\\..\\b", "must not contain . or .. as a path part"),
        ("%2e%2E", "must not contain . or .. as a path part"),
        (".%2e", "must not contain . or .. as a path part"),
        ("a%2f..%2fb", "must not contain . or .. as a path part"),
        ("a%5c..", "must not contain . or .. as a path part"),
        ("%252e%252e", "must not contain . or .. as a path part"),
        ("%25252e", "must not contain . or .. as a path part"),
        ("a\r\nX: y", "must not contain control characters"),
        ("a\0", "must not contain control characters"),
        ("a\x7f", "must not contain control characters"),
        ("a\x85", "must not contain control characters"),
        ("a\n", "must not contain control characters"),
        ("\ud800", "must be valid Unicode text"),
        (7, "must be text (keep numbers such as 007)"),
        (None, "must be text (keep numbers such as 007)"),
        (b"bytes", "must be text (keep numbers such as 007)"),
    ],
)
def test_segment_refuses(value: str, remedy: str) -> None:
    """Ids that could climb, split a header or mean nothing are refused."""
    with pytest.raises(InvalidArgument) as caught:
        segment(value, "service")

    assert ("service", remedy) == (caught.value.name, caught.value.remedy)


@pytest.mark.parametrize(
    "value",
    ["%" + "25" * 100_000, "%" * 100_000 + "3" * 99_999 + "25"],
    ids=["percent signs", "digits"],
)
def test_segment_encoded_without_end(value: str) -> None:
    """An id of encodings within encodings is refused before they are all undone."""
    with pytest.raises(InvalidArgument, match=r"must not contain \. or"):
        segment(value)


@given(TEXT)
def test_segment_is_one_segment(value: str) -> None:
    """The server's decoded path has exactly the expected segments."""
    try:
        encoded = segment(value)
    except InvalidArgument:
        assume(False)
    url = yarl.URL(f"https://acme.example/tasks/{encoded}/result", encoded=True)
    parts = [unquote(part, errors="strict") for part in url.raw_path.split("/")]

    assert ["", "tasks", value, "result"] == parts
    assert ("", "") == (url.raw_query_string, url.raw_fragment)
    assert url == url.join(yarl.URL(url.raw_path, encoded=True))


# --- queries -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "/tasks"),
        ({"state": None}, "/tasks"),
        (
            {"limit": 20, "all": True, "mine": False},
            "/tasks?limit=20&all=true&mine=false",
        ),
        (
            {"from": "2026-01-02T03:04:05+01:00"},
            "/tasks?from=2026-01-02T03%3A04%3A05%2B01%3A00",
        ),
        ({"a b": "c&d=e#f", "x": 1.5}, "/tasks?a%20b=c%26d%3De%23f&x=1.5"),
        ({"empty": ""}, "/tasks?empty="),
        ({"header": "a\r\nX: y"}, "/tasks?header=a%0D%0AX%3A%20y"),
    ],
)
def test_join_query(params: dict[str, str | None], expected: str) -> None:
    """Parameters are encoded, and those that are None are left out."""
    assert expected == join_query("/tasks", params)


@given(st.dictionaries(TEXT, TEXT))
def test_query_arrives_as_it_was(params: dict[str, str]) -> None:
    """The server decodes exactly the names and values that were given."""
    query = join_query("/tasks", params).partition("?")[2]

    assert list(params.items()) == parse_qsl(
        query, keep_blank_values=True, strict_parsing=bool(query)
    )


@pytest.mark.parametrize("params", [{"a": "\ud800"}, {"\ud800": "a"}])
def test_join_query_refuses_surrogates(params: dict[str, str]) -> None:
    """What is no Unicode text is our error, not a UnicodeEncodeError."""
    with pytest.raises(InvalidArgument, match="must be valid Unicode text"):
        join_query("/tasks", params)


# --- base URLs ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://acme.example", ("https://acme.example", "")),
        ("https://acme.example/", ("https://acme.example", "")),
        ("HTTPS://ACME.example:443/A/", ("https://acme.example", "/A")),
        ("http://localhost:8080/api/v2", ("http://localhost:8080", "/api/v2")),
        ("http://acme.example:80", ("http://acme.example", "")),
        ("https://acme.example:80", ("https://acme.example:80", "")),
        ("https://acme.example.", ("https://acme.example", "")),
        ("https://acme.example:/a", ("https://acme.example", "/a")),
        ("http://[::1]:8080/x", ("http://[::1]:8080", "/x")),
        ("https://acme.example/é%20/", ("https://acme.example", "/%C3%A9%20")),
        ("https://acme.example//api//", ("https://acme.example", "/api")),
    ],
)
def test_split_base(url: str, expected: tuple[str, str]) -> None:
    """A base URL becomes its origin in one form, and a path without last slash."""
    assert expected == split_base(url)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("", "must start with http:// or https://"),
        ("acme.example", "must start with http:// or https://"),
        ("ftp://acme.example", "must start with http:// or https://"),
        ("https://", "it names no host"),
        ("https://.", "it names no host"),
        ("https://user:pw@acme.example", "must not contain a user name"),
        ("https://acme.example\\@evil.example", "must not contain a"),
        ("https://acme.example/\\", "must not contain a backslash"),
        ("https://acme.example:port", "is not a usable URL"),
        ("https://acme.example:99999", "is not a usable URL"),
        ("https://[::1", "is not a usable URL"),
        ("https://acme.example/?a=1", "no query and no fragment"),
        ("https://acme.example/#a", "no query and no fragment"),
        ("https://acme.example/a/../b", "must not contain . or .."),
        ("https://acme.example/a/%2e%2e", "must not contain . or .."),
        ("https://acme.example\n", "without blanks or controls"),
        (" https://acme.example", "without blanks or controls"),
        ("https://acme.example/\ud800", "must be valid Unicode text"),
        ("https://acme\ud800.example", "its host or port is malformed"),
        ("https://acme\xad.example", "its host or port is malformed"),
        (7, "without blanks or controls"),
    ],
)
def test_split_base_refuses(url: str, remedy: str) -> None:
    """A base URL that is none, or that carries more, is refused."""
    with pytest.raises(InvalidArgument) as caught:
        split_base(url, "base_url")

    assert "base_url" == caught.value.name
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hidden@acme.example",
        "https://me:hidden/@acme.example",
        "https://me:hidden@\u2100.example",
        "https://me:hidden\n@acme.example",
        "https://acme.example/?token=hidden",
        "https://acme.example/#hidden\nhidden",
    ],
)
def test_refused_base_shows_no_secret(url: str) -> None:
    """A password or token in a URL that is refused is in no text of the error."""
    with pytest.raises(InvalidArgument) as caught:
        split_base(url)

    assert "hidden" not in "".join(traceback.format_exception(caught.value))
    assert "//" in caught.value.value


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:8080", True),
        ("http://app.localhost", True),
        ("http://127.0.0.1", True),
        ("http://127.9.9.9:1", True),
        ("http://[::1]:8080", True),
        ("http://[::2]", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://notlocalhost", False),
        ("", False),
    ],
)
def test_is_loopback(origin: str, expected: bool) -> None:
    """Only names and addresses of this machine are loopback."""
    assert expected == is_loopback(origin)


# --- links that a server hands out -------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("https://acme.example/x", "https://acme.example/x"),
        ("https://acme.example:443/x", "https://acme.example:443/x"),
        ("HTTPS://ACME.EXAMPLE/x", "https://ACME.EXAMPLE/x"),
        ("https://acme.example./x", "https://acme.example./x"),
        ("/x?y=1#z", "https://acme.example/x?y=1"),
        ("8", "https://acme.example/pro-api/v2/tasks/8"),
        ("../apps", "https://acme.example/pro-api/v2/apps"),
        ("?page=2", "https://acme.example/pro-api/v2/tasks/7?page=2"),
        ("//acme.example/x", "https://acme.example/x"),
        ("/jobs/oml-1;", "https://acme.example/jobs/oml-1"),
        ("/é?a=é%20+|", "https://acme.example/%C3%A9?a=%C3%A9%20+|"),
        ("https:/x", "https://acme.example/x"),
        ("https:x", "https://acme.example/pro-api/v2/tasks/x"),
        ("///x", "https://acme.example/x"),
        ("/%2e%2e/x", "https://acme.example/%2e%2e/x"),
        ("", BASE),
    ],
)
def test_link_is_resolved(raw: str, expected: str) -> None:
    """A link to the same origin is resolved as a browser does."""
    assert expected == resolve_server_url(BASE, raw)


FOREIGN = {
    "other host": "https://evil.example/x",
    "network path": "//evil.example/x",
    "other port": "https://acme.example:8443/x",
    "http port": "https://acme.example:80/x",
    "downgrade": "http://acme.example/x",
    "downgrade to 443": "http://acme.example:443/x",
    "subdomain": "https://x.acme.example/",
    "suffix": "https://acme.example.evil.example/",
    "user name": "https://acme.example@evil.example/x",
    "user at home": "https://user@acme.example/x",
    "empty user": "https://@acme.example/x",
    "backslash": "https://acme.example\\@evil.example/x",
    "backslashes": "\\\\evil.example/x",
    "slash and backslash": "/\\evil.example/x",
    "line end": "https://acme.example/\r\nX: y",
    "tab": "ht\ttps://evil.example",
    "leading blank": " https://evil.example",
    "null": "/x\0",
    "line separator": "/x\u2028",
    "script": "javascript:alert(1)",
    "file": "file:///etc/passwd",
    "data": "data:text/plain,x",
    "ftp": "ftp://acme.example/x",
    "websocket": "wss://acme.example/x",
    "no port": "https://acme.example:port/x",
    "big port": "https://acme.example:70000/x",
    "bad address": "https://[::1/x",
    "no host": "https://:443/x",
    "encoded host": "https://acme%2Eexample/x",
    "downgrade without a host": "http:/x",
    "wide letters": "https://\uff41cme.example/x",
    "soft hyphen": "https://ac\xadme.example/x",
    "port of other digits": "https://acme.example:٤٤٣/x",
    "no Unicode": "/\udcff",
    "host that is no Unicode": "https://acme.example\udcff/x",
    "too long": "/" + "x" * MAX_URL,
}


@pytest.mark.parametrize("raw", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_link_is_refused(raw: str) -> None:
    """A link that leads elsewhere, or hides where it leads, is refused."""
    with pytest.raises(UntrustedUrl) as caught:
        resolve_server_url(BASE, raw)

    assert "https://acme.example" == caught.value.base
    assert hide_secrets(raw) == caught.value.url


@pytest.mark.parametrize(
    "raw",
    [
        "https://me:hidden@evil.example",
        "https://evil.example/?signature=hidden",
        "https://evil.example/#hidden",
        "https://me:hidden@\u2100.example/",
        "https://me:hidden\udcff@[::1",
    ],
)
def test_refused_link_shows_no_secret(raw: str) -> None:
    """A password or signature in a link that is refused is in no text of the error."""
    with pytest.raises(UntrustedUrl) as caught:
        resolve_server_url(BASE, raw)

    assert "hidden" not in "".join(traceback.format_exception(caught.value))
    assert "hidden" not in repr(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://acme.example/a", "https://acme.example/a"),
        ("https://acme.example/a?sig=x#y", "https://acme.example/a?…"),
        ("/a#y?sig=x", "/a#…"),
        ("https://me:pw@acme.example/a?x", "https://…@acme.example/a?…"),
        ("https://me:p?w@acme.example/", "https://…@acme.example/"),
        ("https://me:p/w#\n@acme.example/", "https://…@acme.example/"),
        ("me:pw@acme.example", "…@acme.example"),
        ("//@acme.example", "//…@acme.example"),
        ("https:me:pw@acme.example", "…@acme.example"),
        ("/?", "/?"),
        ("", ""),
        ("//" * 1_000_000, "/" * MAX_URL),
    ],
    ids=range(12),
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    """Neither a password nor a signature is shown, whatever the form of the URL."""
    assert shown == hide_secrets(url)


def test_trusted_origin_is_accepted() -> None:
    """Origins that the user names may be linked to; their neighbours may not."""
    trusted = {"https://store.example"}
    link = "https://store.example:443/result?signature=x"

    assert link == resolve_server_url(BASE, link, trusted)
    with pytest.raises(UntrustedUrl):
        resolve_server_url(BASE, "http://store.example/result", trusted)


WORDS = (
    "https: http: / // \\ @ : acme.example evil.example 443 . .. ? # %2e [ ] ; x é 。"
)
PIECES = st.sampled_from([*WORDS.split(), " ", "\t"])


@given(st.lists(PIECES, max_size=10).map("".join))
def test_no_link_leaves_the_origin(raw: str) -> None:
    """Whatever is accepted, the HTTP library too sees the configured origin in it."""
    try:
        url = resolve_server_url(BASE, raw)
    except UntrustedUrl:
        return
    seen = yarl.URL(url, encoded=True)

    assert "https://acme.example" == origin_of(url)
    assert ("https", "acme.example", 443) == (
        seen.scheme,
        (seen.host or "").rstrip("."),
        seen.port,
    )
    assert (None, None) == (seen.user, seen.password)


def test_what_is_no_url_is_not_here() -> None:
    """A text that is no URL is not on this machine, and no error."""
    assert not is_loopback("http://[bad")
