"""Uploads."""

from __future__ import annotations

import pytest

from asynctasks.server.vantiq.refusals import Refused
from asynctasks.server.vantiq.upload import Upload, parse_upload


def form(disposition: str, kind: str | None = "text/plain") -> bytes:
    head = f"Content-Disposition: form-data; {disposition}\r\n"
    if kind is not None:
        head += f"Content-Type: {kind}\r\n"
    return f"--B\r\n{head}\r\nsome\r\n--content\r\n--B--\r\n".encode()


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('name="d/e.txt"; filename="d/e.txt"', "d/e.txt"),
        ('name="defaultName"; filename="a b.txt"', "a b.txt"),
        ('name="x"; filename="say %22hi%22"', 'say "hi"'),
        (r'name="x"; filename="say \"hi\""', 'say "hi"'),
        ('name="x"; filename="größe"', "größe"),
        ("name=\"x\"; filename*=utf-8''gr%C3%B6%C3%9Fe", "größe"),
    ],
)
def test_name(disposition: str, name: str) -> None:
    """A document is called what the part's file is called, however it is written."""
    body = form(disposition)

    assert Upload(name, "text/plain", b"some\r\n--content") == parse_upload(
        body, "multipart/form-data; boundary=B"
    )


def test_content_type() -> None:
    """A part without content type is bytes."""
    upload = parse_upload(form('filename="a"', None), "multipart/form-data; boundary=B")

    assert "application/octet-stream" == upload.content_type


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form('name="x"'), "multipart/form-data; boundary=B"),
        (form('filename="a"'), "multipart/form-data"),
        (b"", "multipart/form-data; boundary=B"),
    ],
)
def test_no_file(body: bytes, kind: str) -> None:
    """A form without a file is refused."""
    with pytest.raises(Refused):
        parse_upload(body, kind)
