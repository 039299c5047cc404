"""The report as HTML: self-contained, and nothing in it comes alive."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser
import json
import re

import pytest

from asynctasks.report import BatchReport
from asynctasks.sansio.ledger import Entry, Failure, ItemState, Timings
from asynctasks.sansio.report_page import STYLE, render_page, render_part


EVIL = "</title></style></svg>\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


class Seen(HTMLParser):
    """Takes note of the elements and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()


@pytest.fixture
def report() -> BatchReport:
    """A batch of a service whose every word is an attack."""
    entries = [
        Entry(
            index=n,
            key=EVIL,
            state=ItemState(state),
            timings=Timings(submitted=1000 + n, started=1002 + n, fetched=1010 + n),
            attempts=2,
            retries=(EVIL,),
            token="" if state == "unknown" else json.dumps({"id": EVIL}),
            failure=Failure(EVIL, EVIL),
            candidates=(EVIL,) if state == "unknown" else (),
        )
        for n, state in enumerate(["succeeded", "failed", "unknown"] * 30)
    ]
    return BatchReport.of(entries, service=EVIL, about=EVIL)


def test_page_is_closed_and_harmless(report: BatchReport) -> None:
    """Whatever a service says stays text: no script, no handler, no address."""
    seen = Seen(render_page(report.document(), report.lanes))
    alive = {"script", "img", "iframe", "a", "link", "object", "embed", "form", "base"}

    assert [] == seen.open
    assert set() == seen.tags & alive
    assert not [name for name in seen.attributes if name.startswith("on")]
    assert set() == seen.attributes & {"href", "src", "style", "srcdoc"}


def test_page_allows_its_own_style_only(report: BatchReport) -> None:
    """The policy names the digest of the style, and nothing else may be loaded."""
    page = render_page(report.document(), report.lanes)
    [style] = re.findall("<style>(.*?)</style>", page)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = re.search('Security-Policy" content="([^"]*)"', page)

    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert f"'sha256-{digest}'" in policy[1]
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_page_says_how_many_are_not_named(report: BatchReport) -> None:
    """Of each kind of failure the first items are named, the others are counted."""
    page = render_page(report.document(), report.lanes)

    assert page.count("and 10 more") == 2
    assert page.count("one of: ") == 20


def test_part_is_harmless_too(report: BatchReport) -> None:
    """What a notebook shows is made of the same parts."""
    part = render_part(report.document(), report.lanes)

    assert "<script" not in part
    assert "<img" not in part
    assert [] == Seen(part).open


def test_page_of_nothing() -> None:
    """A batch without items has a page, without pictures."""
    report = BatchReport.of([])
    page = render_page(report.document(), report.lanes)

    assert "nothing was submitted" in page
    assert 'class="lanes"' not in page
