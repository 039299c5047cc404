"""What each service is asked by ``asynctasks check``: nothing that changes anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from ..exceptions import (
    AsyncTasksError,
    AuthenticationFailed,
    NotFound,
    PermissionDenied,
)


__all__ = ["EXAMS", "Exam"]

SHOWN = 5
"""Names that are shown of a list."""

Ask = Callable[[Any], Awaitable[str]]
"""Asks a client, and says what was found."""


@attrs.frozen(kw_only=True)
class Exam:
    """How a service of one protocol is looked at."""

    steps: Sequence[tuple[str, Ask]]
    """What is asked, by name, in this order: what needs least comes first."""

    ping: Ask
    """The cheapest question."""

    remedies: Mapping[type[AsyncTasksError], str]
    """What to do about errors that mean something else for each service."""


async def ask_aimms(client: Any) -> str:
    """Ask what is spoken: a question that needs no key."""
    if client.capabilities.schedule:
        version = await client.server_version()
        return f"{client.dialect.title}; it says {version}"
    await client.echo(b"asynctasks", content_type="text/plain")
    return f"{client.dialect.title}; it echoes"


async def list_task(client: Any) -> str:
    """List one task, which needs the key."""
    rows = await client.select("tasks", limit=1)
    return f"accepted; there are {'tasks' if rows else 'no tasks'}"


async def sign_in(client: Any) -> str:
    """Ask for the versions of the API, which needs a token."""
    rows = await client.select("versions")
    versions = sorted(str(row.get("version", "?")) for row in rows)
    return f"accepted; the API has {', '.join(versions)}"


async def list_scripts(client: Any) -> str:
    """List the scripts."""
    rows = await client.select("scripts")
    return f"{client.dialect.title}; scripts: {enumerate_names(rows)}"


async def ask_who(client: Any) -> str:
    """Ask who signs the requests."""
    user = await client.current_user()
    return f"accepted; you are {user.get('name', '?')}"


async def list_services(client: Any) -> str:
    """List the processing services."""
    rows = await client.select("services", limit=100)
    return f"{client.dialect.title}; services: {enumerate_names(rows)}"


async def list_row(client: Any) -> str:
    """List one task, which needs the type, and a token that may read it."""
    return f"{await list_task(client)} in the {client.dialect.title}"


def enumerate_names(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the first names of a list, and how many more there are."""
    names = [str(row.get("name", "?")) for row in rows]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more


EXAMS: Mapping[str, Exam] = {
    "aimms": Exam(
        steps=[("speaks", ask_aimms), ("key", list_task)],
        ping=ask_aimms,
        remedies={
            AuthenticationFailed: "the key is wrong or has expired: make a new one",
            PermissionDenied: "give the key the scope Tasks, or send one",
        },
    ),
    "oml": Exam(
        steps=[("key", sign_in), ("speaks", list_scripts)],
        ping=sign_in,
        remedies={
            AuthenticationFailed: "check user name and password, or get a new token",
            PermissionDenied: "give the database user the role OML_DEVELOPER",
        },
    ),
    "desp": Exam(
        steps=[("key", ask_who), ("speaks", list_services)],
        ping=ask_who,
        remedies={
            AuthenticationFailed: "check the user name, and the token or password",
            PermissionDenied: "ask for the right to process on this platform",
        },
    ),
    "vantiq": Exam(
        steps=[("key", list_row)],
        ping=list_row,
        remedies={
            AuthenticationFailed: "check user name and password, or get a new token",
            PermissionDenied: "give the user's profile the right to read the type",
            NotFound: "create the type: VantiqTasks.create_type(); or see task_type",
        },
    ),
}
"""The exams, by protocol."""
