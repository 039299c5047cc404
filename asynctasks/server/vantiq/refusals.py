"""
What the Vantiq half says no with: a status, a code, a message and its parameters.

Codes that start with ``io.vantiq.`` are the vendor's, as its documents and tests
show them. Where no code is known the choice is ours and starts with
``io.asynctasks.``, so that nobody takes it for one of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


__all__ = [
    "Refused",
    "conflicting",
    "forbidden",
    "malformed",
    "not_allowed",
    "not_found",
    "unauthorized",
    "unknown_resource",
    "unknown_type",
]


class Refused(Exception):
    """Raised within the Vantiq half to answer with an error."""

    def __init__(
        self, status: int, code: str, message: str, params: Sequence[Any] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.params = list(params)

    def document(self) -> list[dict[str, Any]]:
        """Return the body: an array of one error."""
        return [{"code": self.code, "message": self.message, "params": self.params}]


def not_found(resource: str, key: str, value: Any) -> Refused:
    """Say that there is no such instance."""
    name = resource.removeprefix("system.")
    what = f"{{{key}={value}}}"
    message = (
        f"The requested instance ('{what}') of the {name} resource could not be found."
    )
    return Refused(404, "io.vantiq.resource.not.found", message, [name, what])


def unknown_resource(name: str) -> Refused:
    """Say that there is no such system resource."""
    message = (
        f"The resource {name} is not recognized as a Vantiq system resource.  "
        "Either correct resource name or adjust access URI/prefix."
    )
    return Refused(404, "io.vantiq.type.system.resource.unknown", message, [name])


def unknown_type(name: str) -> Refused:
    """Say that no type of this name is defined."""
    message = f"The type {name} is not defined in this namespace."
    return Refused(404, "io.asynctasks.type.unknown", message, [name])


def malformed(message: str, *params: Any) -> Refused:
    """Say what is wrong with a request."""
    return Refused(400, "io.asynctasks.request.malformed", message, params)


def conflicting(resource: str, names: Sequence[str], values: Sequence[Any]) -> Refused:
    """Say that another instance has this key already."""
    name = resource.removeprefix("system.")
    what = ", ".join(f"{key}={value}" for key, value in zip(names, values, strict=True))
    message = f"There is an instance of the {name} resource with {what} already."
    return Refused(409, "io.asynctasks.resource.exists", message, [name, what])


def unauthorized() -> Refused:
    """Say that the caller is not known, or no longer."""
    return Refused(401, "io.vantiq.authentication.failed", "Unauthorized")


def forbidden(message: str, *params: Any) -> Refused:
    """Say that the caller is known and may not."""
    return Refused(403, "io.asynctasks.forbidden", message, params)


def not_allowed(method: str, what: str) -> Refused:
    """Say that a resource does not take this verb."""
    message = f"{method} is not accepted by {what}."
    return Refused(405, "io.asynctasks.method.not.allowed", message, [method, what])
