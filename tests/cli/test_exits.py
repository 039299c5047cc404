"""Exit codes."""

from __future__ import annotations

import pytest

from asynctasks.cli.exits import MEANINGS, Exit, exit_of
from asynctasks.exceptions import (
    AsyncTasksError,
    AttemptTimeout,
    AuthenticationFailed,
    ConfigError,
    Conflict,
    ConnectError,
    InvalidArgument,
    NotFound,
    PatienceExceeded,
    PermissionDenied,
    RateLimited,
    ResponseDecodeError,
    ServiceBroken,
    SubmitOutcomeUnknown,
    TaskCancelled,
    TaskFailed,
    TaskLost,
)
from asynctasks.sansio.http import Response


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TaskFailed("1"), 1),
        (TaskCancelled("1"), 1),
        (Conflict(Response(409)), 1),
        (ConfigError("x", "y"), 2),
        (InvalidArgument("x", "y", "z"), 2),
        (AuthenticationFailed(Response(401)), 3),
        (PermissionDenied(Response(403)), 3),
        (NotFound(Response(404)), 4),
        (TaskLost("1"), 4),
        (PatienceExceeded("1"), 5),
        (ConnectError("x"), 6),
        (AttemptTimeout("x"), 6),
        (SubmitOutcomeUnknown(ConnectError("x")), 6),
        (RateLimited(Response(429)), 6),
        (ServiceBroken(Response(500)), 6),
        (ResponseDecodeError("JSON"), 6),
        (AsyncTasksError(), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_leads_to_its_code(error: AsyncTasksError, code: int) -> None:
    """Every kind of error has its exit code."""
    assert code == exit_of(error)


def test_every_code_has_a_meaning() -> None:
    """The help explains all codes."""
    assert set(Exit) == set(MEANINGS)
