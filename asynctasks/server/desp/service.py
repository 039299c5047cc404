"""
The server's half of Insula: requests in, answers out, nothing else.

Everything lies below ``/secure/api/v2.0``, and tokens are given out where Keycloak
has them. Releases of Insula differ; where they do, all clients that are known are
answered: a launch with 202 and the job's id in both of its places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
import re
from urllib.parse import parse_qsl, unquote

from . import files, launch, lists
from .calls import ROOT, Call, Refused
from .store import Store, User
from .tokens import Tokens
from ..simulator import Simulator
from ..tasks import Changed
from ...sansio.http import Headers, Request, Response


__all__ = ["DespService"]

TOKENS = re.compile(r"/realms/[^/]+/protocol/openid-connect/token")

WALLET = 1_000_000.0

LONGEST_ID = 20
"""Digits; what is longer is the id of nothing."""


class DespService:
    """
    Answers as Insula does.

    Args:
        simulator: the world with the tasks and services.
        new_id: gives UUIDs, each once.
        api_key: the key or password that is asked for; None takes any, or none.
        quota: jobs of one user that are under way at the same time; others wait.
        wallet: the credits that a user has at first.
        token_life: seconds until an access token ends.
    """

    def __init__(
        self,
        simulator: Simulator,
        *,
        new_id: Callable[[], str],
        api_key: str | None = None,
        quota: int = 5,
        wallet: float = WALLET,
        token_life: float = 300.0,
    ) -> None:
        self.store = Store(simulator, quota=quota, wallet=wallet, new_id=new_id)
        """What it remembers, for tests."""

        self._tokens = Tokens(api_key=api_key, life=token_life, new_id=new_id)

    def handle(self, request: Request, now: float) -> Response | None:
        """Answer a request; None if its path is not one of Insula."""
        path = re.sub("/+", "/", request.path).rstrip("/")
        if TOKENS.fullmatch(path):
            return self._tokens.give(request, now)
        if path != ROOT and not path.startswith(f"{ROOT}/"):
            return None
        parts = [unquote(part) for part in path[len(ROOT) + 1 :].split("/")]
        try:
            user = self._admit(request, now)
            self.store.settle(partial(files.ingest, self.store))
            pairs = parse_qsl(request.query.lstrip("?"), keep_blank_values=True)
            return route(Call(self.store, user, request, parts, pairs, now))
        except Refused as refused:
            return refused.response

    def notices(self, change: Changed) -> Sequence[Request]:
        """Nobody is told of changes: Insula has no push."""
        del change
        return ()

    def _admit(self, request: Request, now: float) -> User:
        name = self._tokens.user_of(request.headers.get("Authorization", ""), now)
        if name is None:
            # Said by the gateway before the platform.
            raise Refused(401, {"status_code": 401, "status": "Unauthorized"})
        return self.store.user(name)


def route(call: Call) -> Response:
    """Find who answers."""
    parts = ["*" if is_id(part) else part for part in call.parts]
    shape = "/".join(parts)
    answer = ROUTES.get((call.request.method, shape))
    if answer is not None:
        return answer(call)
    allowed = sorted(method for method, known in ROUTES if known == shape)
    if allowed:
        return Response(405, Headers({"Allow": ", ".join(allowed)}))
    raise Refused(404)


def is_id(part: str) -> bool:
    """Tell whether a part of a path is the id of an entity."""
    return part.isascii() and part.isdigit() and len(part) < LONGEST_ID


ROUTES: Mapping[tuple[str, str], Callable[[Call], Response]] = {
    **lists.ROUTES,
    ("POST", "jobConfigs"): launch.create_config,
    ("POST", "jobConfigs/*/launch"): launch.launch,
    ("GET", "estimateCost/jobConfig/*"): launch.estimate,
    ("GET", "jobs/*/logs"): launch.logs,
    ("GET", "jobs/*/cancel"): launch.cancel,
    ("POST", "jobs/*/terminate"): launch.terminate,
    ("POST", "jobs/*/relaunchFailed"): launch.relaunch_failed,
    ("GET", "platformFiles/*/dl"): files.download,
    ("DELETE", "platformFiles/*"): files.delete_file,
    ("POST", "platformFiles/refData"): files.upload,
    ("POST", "collections"): files.create_collection,
    ("PATCH", "collections/*"): files.update_collection,
    ("DELETE", "collections/*"): files.delete_collection,
}
"""What is answered where; a star is an id."""
