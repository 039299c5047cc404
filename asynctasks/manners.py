"""How remote tasks are treated: what there is to choose from, as types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import attrs

from .arguments import check_choice, check_wait
from .sansio.answers import check_decode


__all__ = [
    "Cleanup",
    "Decode",
    "ErrorPolicy",
    "Manners",
    "RemotePolicy",
    "UnknownPolicy",
    "check_cleanup",
    "check_policy",
    "check_waiting",
]

Cleanup = Literal["keep", "delete"]
"""What becomes of a finished task whose result was fetched."""

Decode = Literal["auto", "json", "text", "bytes"]
"""How a result is decoded; see :func:`asynctasks.decode_content`."""

RemotePolicy = Literal["leave", "cancel_remote"]
"""What becomes of the remote task when somebody gives up waiting for it."""

ErrorPolicy = Literal["collect", "raise"]
"""What an item of a batch that fails means for the batch."""

UnknownPolicy = Literal["skip", "resubmit", "raise"]
"""What becomes of an item whose submit may have been accepted."""


@attrs.frozen(kw_only=True)
class Manners:
    """How a client treats its tasks."""

    patience: float
    """Seconds that a wait lasts when the caller does not say."""

    cleanup: Cleanup
    on_cancel: RemotePolicy
    """What becomes of a remote task when a wait for it is cancelled."""

    on_timeout: RemotePolicy
    """The same for when it runs out."""

    trace_context: Callable[[], str | None] = lambda: None

    @property
    def keeps_results(self) -> bool:
        """Whether a result can be fetched again after it was fetched."""
        return self.cleanup == "keep"


def check_waiting(
    timeout: float | None, decode: str, on_cancel: str | None, on_timeout: str | None
) -> None:
    """
    Refuse what no wait for a result could use; None is always right.

    Raises:
        InvalidArgument: one of them cannot be used.
    """
    check_decode(decode)
    if timeout is not None:
        check_wait("timeout", timeout)
    for name, policy in (("on_cancel", on_cancel), ("on_timeout", on_timeout)):
        if policy is not None:
            check_policy(name, policy)


def check_policy(name: str, value: str) -> str:
    """Return a :data:`RemotePolicy`, if it is one."""
    check_choice(name, value, get_args(RemotePolicy))
    return value


def check_cleanup(value: str) -> str:
    """Return a :data:`Cleanup`, if it is one."""
    check_choice("cleanup", value, get_args(Cleanup))
    return value
