"""What the server's half of a protocol is to the shell: pure answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from .tasks import Changed, SimulatedTask
from ..sansio import codec
from ..sansio.http import Headers, Request, Response


__all__ = ["Awaited", "Delayed", "Half", "refuse"]


class Half(Protocol):
    """The server's half of a protocol, on top of a simulator."""

    def handle(self, request: Request, now: float) -> Response | None:
        """
        Answer a request, whose body has been read.

        Returns:
            None where the path is not of this protocol.
        """

    def notices(self, change: Changed) -> Sequence[Request]:
        """Return what has to be sent, to absolute URLs, because of a change."""


@attrs.frozen(slots=False)
class Delayed(Response):
    """An answer that the shell gives after some seconds."""

    delay: float = attrs.field(default=0.0, kw_only=True)


@attrs.frozen(slots=False)
class Awaited(Response):
    """An answer that the shell gives when a task has ended."""

    task: SimulatedTask = attrs.field(kw_only=True)
    answer: Callable[[], Response] = attrs.field(kw_only=True)
    """Makes the answer, once the task has ended."""

    limit: float = attrs.field(kw_only=True)
    """Seconds after which the connection is cut instead."""


def refuse(status: int, error: str, message: str) -> Response:
    """
    Build the answer to a request that cannot be served.

    Its keys are those of AIMMS' errors; what understands none of them shows the
    message all the same.
    """
    document = {"errorId": error, "errorCode": status, "message": message}
    headers = Headers({"Content-Type": "application/json"})
    return Response(status, headers, codec.dumps(document, name="error"))
