"""What each service is asked by ``asynctasks check``: nothing that changes anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from ..exceptions import (
    AsyncTasksError,
    AuthenticationFailed,
    NotFound,
    PermissionDenied,
)


if TYPE_CHECKING:
    from ..config import Profile


__all__ = ["EXAMS", "Exam", "exam_of"]

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


async def ask_version(client: Any) -> str:
    """Ask AIMMS PRO what it speaks: a question that needs no key."""
    return f"{client.dialect.title}; it says {await client.server_version()}"


async def ask_echo(client: Any) -> str:
    """Have an AIMMS on this machine send something back."""
    await client.echo(b"asynctasks", content_type="text/plain")
    return f"{client.dialect.title}; it echoes"


async def list_task(client: Any) -> str:
    """List one task."""
    rows = await client.select("tasks", limit=1)
    return f"there are {'tasks' if rows else 'no tasks'}"


async def list_task_signed(client: Any) -> str:
    """List one task, which needs the key."""
    return f"accepted; {await list_task(client)}"


async def list_row(client: Any) -> str:
    """List one task, which needs the type, and a token that may read it."""
    return f"{await list_task_signed(client)} in the {client.dialect.title}"


async def sign_in(client: Any) -> str:
    """Ask for the versions of the API, which needs a token."""
    rows = await client.select("versions")
    versions = sorted(str(row.get("version", "?")) for row in rows)
    return f"accepted; the API has {', '.join(versions)}"


async def ask_who(client: Any) -> str:
    """Ask who signs the requests."""
    user = await client.current_user()
    return f"accepted; you are {user.get('name', '?')}"


def list_names(resource: str) -> Ask:
    """Make a question for the first names of a resource."""

    async def ask(client: Any) -> str:
        rows = await client.select(resource, limit=100)
        return f"{client.dialect.title}; {resource}: {enumerate_names(rows)}"

    return ask


def enumerate_names(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the first names of a list, and how many more there are."""
    names = [str(row.get("name", "?")) for row in rows]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more


EXAMS: Mapping[tuple[str, str | None], Exam] = {
    ("aimms", "cloud"): Exam(
        steps=[("speaks", ask_version), ("key", list_task_signed)],
        ping=ask_version,
        remedies={
            AuthenticationFailed: "the key is wrong or has expired: make a new one",
            PermissionDenied: "give the key the scope Tasks, or send one",
        },
    ),
    ("aimms", "local"): Exam(
        steps=[("speaks", ask_echo), ("tasks", list_task)],
        ping=ask_echo,
        remedies={
            AuthenticationFailed: "is this AIMMS PRO? then say --cloud, and give a key",
            PermissionDenied: "no key is sent to an AIMMS on this machine: it may be "
            "AIMMS PRO (--cloud), or a proxy",
        },
    ),
    ("oml", None): Exam(
        steps=[("key", sign_in), ("speaks", list_names("scripts"))],
        ping=sign_in,
        remedies={
            AuthenticationFailed: "check user name and password, or get a new token",
            PermissionDenied: "give the database user the role OML_DEVELOPER",
        },
    ),
    ("desp", None): Exam(
        steps=[("key", ask_who), ("speaks", list_names("services"))],
        ping=ask_who,
        remedies={
            AuthenticationFailed: "check the user name, and the token or password",
            PermissionDenied: "ask for the right to process on this platform",
        },
    ),
    ("vantiq", None): Exam(
        steps=[("key", list_row)],
        ping=list_row,
        remedies={
            AuthenticationFailed: "check user name and password, or get a new token",
            PermissionDenied: "give the user's profile the right to read the type",
            NotFound: "create the type: VantiqTasks.create_type(); or see task_type",
        },
    ),
}
"""The exams, by protocol and deployment."""


def exam_of(profile: Profile) -> Exam:
    """Return the exam for the service of a profile."""
    return EXAMS[profile.protocol, profile.deployment]
