"""
Fixtures for your tests; pytest finds them by itself.

``asynctasks_server`` is a :class:`LocalServer` with the packaged services, running in
a thread: it serves plain and async tests alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from collections.abc import Iterator

    from .server.app import LocalServer


__all__ = ["asynctasks_server"]


@pytest.fixture
def asynctasks_server() -> Iterator[LocalServer]:
    """Run an embedded server for one test; register services of your own on it."""
    # Imported here, so that a test run that does not use it does not pay for it.
    from .testing import serving  # noqa: PLC0415

    with serving() as server:
        yield server
