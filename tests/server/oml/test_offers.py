"""What there is to be run, and what it runs in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.oml.worlds import OmlWorld


def test_links_of_a_version() -> None:
    """Templates are written literally into the links."""
    links = OmlWorld().ask("GET", "v2").json()["links"]

    assert "http://db.example/oml/api/py-scripts/v2/do-eval/{scriptName}" in [
        link["href"] for link in links
    ]


def test_scripts() -> None:
    """All services are scripts of the user."""
    rows = OmlWorld().ask("GET", "v1/scripts").json()["result"]

    assert {"name": "group_count", "owner": "OMLUSER"} in rows


def test_preload() -> None:
    """An environment is loaded once, or again on request, and goes after an hour."""
    world = OmlWorld()
    load = {"envName": "seaborn_env"}
    url = "v2/preload/conda"

    assert 200 == world.ask("POST", url, load).status
    assert 400 == world.ask("POST", url, load).status
    assert 200 == world.ask("POST", url, {**load, "overwrite": True}).status
    assert 1 == len(world.ask("GET", url).json()["environments"])
    world.wait(3600)
    assert 0 == len(world.ask("GET", url).json()["environments"])


@pytest.mark.parametrize("name", ["nope", None, ["seaborn_env"], {}])
def test_preload_of_what_there_is_not(name: Any) -> None:
    """An environment that is not there cannot be loaded."""
    answer = OmlWorld().ask("POST", "v2/preload/conda", {"envName": name})

    assert 400 == answer.status
