"""Exit codes, and which error leads to which."""

from __future__ import annotations

import enum

from ..exceptions import (
    AsyncTasksError,
    AuthenticationFailed,
    ConfigError,
    InvalidState,
    JournalError,
    LocalProtocolError,
    NotFound,
    PatienceExceeded,
    PermissionDenied,
    RateLimited,
    RemoteProtocolError,
    ResponseError,
    ResultUnavailable,
    ServiceBroken,
    TaskError,
    TaskLost,
    TransportError,
)


__all__ = ["CODES", "MEANINGS", "Exit", "exit_of"]


class Exit(enum.IntEnum):
    """How a command ends."""

    OK = 0
    FAILED = 1
    USAGE = 2
    AUTH = 3
    NOT_FOUND = 4
    TIMEOUT = 5
    NETWORK = 6
    INCOMPLETE = 7
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


MEANINGS = {
    Exit.OK: "all went well",
    Exit.FAILED: "the task failed or was cancelled, the service refuses the request, "
    "or what came cannot be written",
    Exit.USAGE: "the command, a profile or a setting cannot be used; nothing was sent",
    Exit.AUTH: "the key is not accepted, or does not allow this; "
    "or a local AIMMS has no such service",
    Exit.NOT_FOUND: "there is no such task, service or result",
    Exit.TIMEOUT: "the task did not end within --timeout; it goes on",
    Exit.NETWORK: "the service cannot be reached, or is in trouble: try again later",
    Exit.INCOMPLETE: "the batch is over, but not every item has a result",
    Exit.INTERRUPTED: "interrupted (Ctrl-C); tasks go on, a batch can be resumed",
    Exit.TERMINATED: "the same by SIGTERM",
    Exit.BROKEN_PIPE: "whoever read the output went away",
}

CODES: tuple[tuple[type[AsyncTasksError], Exit], ...] = (
    # The first match counts: subclasses stand before their bases.
    (AuthenticationFailed, Exit.AUTH),
    (PermissionDenied, Exit.AUTH),
    (NotFound, Exit.NOT_FOUND),
    (TaskLost, Exit.NOT_FOUND),
    (ResultUnavailable, Exit.NOT_FOUND),
    (PatienceExceeded, Exit.TIMEOUT),
    (TaskError, Exit.FAILED),
    (RateLimited, Exit.NETWORK),
    (ServiceBroken, Exit.NETWORK),
    (ResponseError, Exit.FAILED),
    (TransportError, Exit.NETWORK),
    (RemoteProtocolError, Exit.NETWORK),
    (LocalProtocolError, Exit.USAGE),
    (ConfigError, Exit.USAGE),
    (JournalError, Exit.USAGE),
    (InvalidState, Exit.USAGE),
)


def exit_of(error: BaseException) -> Exit:
    """Return the code that an error leads to."""
    for kind, code in CODES:
        if isinstance(error, kind):
            return code
    return Exit.FAILED
