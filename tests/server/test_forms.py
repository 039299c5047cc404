"""Forms that clients send."""

from __future__ import annotations

import pytest

from asynctasks.server.forms import Part, parts_of


FILE = 'form-data; name="b"; filename="x.csv"'

KIND = "multipart/form-data; boundary=B"


def form(*parts: tuple[str, str]) -> bytes:
    """Write a form of headers and contents."""
    pieces = "".join(f"--B\r\n{head}\r\n\r\n{body}\r\n" for head, body in parts)
    return f"{pieces}--B--\r\n".encode()


def test_parts() -> None:
    """Parts come in their order, with what their headers say of them."""
    body = form(
        ('Content-Disposition: form-data; name="a"', "1"),
        (f"content-type: text/csv\r\ncontent-disposition: {FILE}", "a--B\n,"),
        ("X-Other: 1", "no name"),
    )

    assert [
        Part("a", None, "", b"1"),
        Part("b", "x.csv", "text/csv", b"a--B\n,"),
        Part("", None, "", b"no name"),
    ] == list(parts_of(body, KIND))


@pytest.mark.parametrize(
    ("disposition", "name", "file_name"),
    [
        ('name="a"; filename=""', "a", ""),
        ('filename="b"; name="a"', "a", "b"),
        ('name="say %22hi%22"; filename="%0D%0A"', 'say "hi"', "\r\n"),
        (r'name="a"; filename="say \"hi\""', "a", 'say "hi"'),
        ('name="größe"; filename="größe"', "größe", "größe"),
        ("name=\"a\"; filename*=UTF-8''gr%C3%B6%C3%9Fe", "a", "größe"),
        ('filename="name"', "", "name"),
        ("", "", None),
    ],
)
def test_names(disposition: str, name: str, file_name: str | None) -> None:
    """Names are read however they are written."""
    (part,) = parts_of(form((f"Content-Disposition: {disposition}", "x")), KIND)

    assert (name, file_name) == (part.name, part.file_name)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form(("X: 1", "x")), "multipart/form-data"),
        (form(("X: 1", "x")), "multipart/form-data; boundary=other"),
        (b"", KIND),
        (b"--B", KIND),
        (b"--B--", KIND),
    ],
)
def test_no_form(body: bytes, kind: str) -> None:
    """What is no form has no parts."""
    assert [] == list(parts_of(body, kind))
