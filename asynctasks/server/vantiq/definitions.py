"""
What the system's resources mean: what becomes of a definition that is inserted.

A type is a table, the text of a rule or procedure is compiled, a document has its
bytes elsewhere. Names, where the vendor's guide has a rule for them, are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .refusals import forbidden, malformed
from .schema import Schema, qualified
from .vail import parse_vail


__all__ = ["CONTENTS", "Prepared", "check_change", "content_of", "prepare"]

CONTENTS: Mapping[str, str] = {
    "system.documents": "/docs/",
    # Only the first is documented.
    "system.images": "/pics/",
    "system.videos": "/vids/",
    "system.tensorflowmodels": "/models/",
}
"""Resources that have bytes, and where these are served."""


@attrs.frozen
class Prepared:
    """An instance that is ready to be stored."""

    instance: Mapping[str, Any]
    content: bytes | None = None
    """The bytes that go with it."""


def prepare(resource: str, instance: Any) -> Prepared:
    """
    Check and complete an instance of a resource before it is inserted.

    Raises:
        Refused: it is not what the resource needs.
    """
    if not isinstance(instance, Mapping):
        raise malformed("An instance is a JSON object.", instance)
    if resource in CONTENTS:
        return prepare_document(resource, instance)
    check = CHECKS.get(resource)
    return Prepared(instance if check is None else check(instance))


def check_change(resource: str, row: Mapping[str, Any]) -> None:
    """
    Check a row as a change is about to leave it.

    Raises:
        Refused: it would no longer be what the resource needs.
    """
    if resource in CONTENTS and not all(
        isinstance(row.get(name), str) for name in ("name", "fileType", "content")
    ):
        raise malformed("A document has a name, a fileType and a content.")
    if resource in CHANGEABLE:
        CHECKS[resource](row)
        if resource != "system.users":
            prepare_named(row)


def prepare_type(instance: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the definition of a type."""
    schema = Schema.parse(instance)
    if qualified(schema.name) or not schema.name.replace(".", "").isidentifier():
        message = f"{schema.name} cannot be the name of a type."
        raise malformed(message, schema.name)
    return instance


def prepare_program(instance: Mapping[str, Any]) -> Mapping[str, Any]:
    """Compile a rule or procedure; its name is in its text."""
    program = parse_vail(instance.get("ruleText"))
    return {"active": True, **instance, "name": program.name}


def prepare_topic(instance: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the name of a topic."""
    if not str(instance.get("name", "")).startswith("/"):
        raise malformed("The name of a topic starts with a slash.")
    return instance


def prepare_user(instance: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write the name of a user in lower case; nobody gets a password here."""
    name = instance.get("username")
    if not isinstance(name, str) or not name:
        raise malformed("A user has a username.")
    if "password" in instance:
        message = "Passwords are given to the embedded server when it is started."
        raise forbidden(message)
    return {"preferredUsername": name, **instance, "username": name.lower()}


def prepare_named(instance: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check that there is a name."""
    if not isinstance(instance.get("name"), str) or not instance["name"]:
        raise malformed("A definition has a name.")
    return instance


def refuse_subscription(_: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse what only a socket can make."""
    raise forbidden("Subscriptions are made over a WebSocket.")


def prepare_document(resource: str, instance: Mapping[str, Any]) -> Prepared:
    """Take the content of a document out of its instance."""
    name = instance.get("name")
    if not isinstance(name, str) or not name or name.startswith("/"):
        raise malformed("The name of a document does not start with a slash.", name)
    text = instance.get("content", "")
    if not isinstance(instance.get("fileType", ""), str):
        raise malformed("The fileType of a document is a text.", name)
    if not isinstance(text, str):
        raise malformed("The content of a document is a text; upload others.")
    content = text.encode()
    row = {"fileType": "text/plain", **instance}
    return Prepared({**row, **content_of(resource, name, content)}, content)


def content_of(resource: str, name: str, content: bytes) -> dict[str, Any]:
    """Return what a row tells of its bytes."""
    return {"content": f"{CONTENTS[resource]}{name}", "contentSize": len(content)}


CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "system.eventacknowledgements": refuse_subscription,
    "system.namespaces": prepare_named,
    "system.procedures": prepare_program,
    "system.rules": prepare_program,
    "system.services": prepare_named,
    "system.sources": prepare_named,
    "system.subscriptions": refuse_subscription,
    "system.topics": prepare_topic,
    "system.types": prepare_type,
    "system.users": prepare_user,
}

CHANGEABLE = CHECKS.keys() - {"system.eventacknowledgements", "system.subscriptions"}
"""Resources whose rows are checked when they change."""
