"""
Types: the system's, as far as they are served here, and those that users define.

A definition has a name, ``properties`` (each with a ``type`` and perhaps ``required``
or ``defaultValue``), a ``naturalKey`` and ``indexes`` that may be unique.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from .refusals import malformed


__all__ = [
    "ALIASES",
    "DEFINITIONS",
    "SYSTEM",
    "Schema",
    "qualified",
    "system_types",
]

SYSTEM_NAMES = """
    audits:ArsAudit catalogs:ArsCatalog clients:ArsClient
    collaborations:ArsCollaboration collaborationtypes:ArsCollaborationType
    configurations:ArsConfiguration designmodels:ArsDesignModel
    discussions:ArsDiscussion documents:ArsDocument
    eventacknowledgements:ArsEventAcknowledgement
    eventgenerators:ArsEventGenerator genaiflows:ArsGenAIFlow groups:ArsGroup
    images:ArsImage k8sclusters:ArsK8sCluster k8sinstallations:ArsK8sInstallation
    llms:ArsLLM namespaces:ArsNamespace nodes:ArsNode organizations:ArsOrganization
    procedures:ArsProcedure profiles:ArsProfile projects:ArsProject rules:ArsRuleSet
    scheduledevents:ArsScheduledEvent secrets:ArsSecret
    semanticindexes:ArsSemanticIndex serviceconnectors:ArsServiceConnector
    services:ArsService situations:ArsSituation sourceimpls:ArsSourceImpl
    sources:ArsSource storagemanagers:ArsStorageManager
    subscriptions:ArsSubscription systemmodels:ArsSystemModel
    analyticsmodels:ArsAnalyticsModel tensorflowmodels:ArsTensorFlowModel
    testreports:ArsTestReport tests:ArsTest testsuitereports:ArsTestSuiteReport
    testsuites:ArsTestSuite tokens:ArsToken topics:ArsTopic
    trackingRegions:ArsTrackingRegion types:ArsType users:ArsUser videos:ArsVideo
"""

SYSTEM: Mapping[str, str] = {
    f"system.{name}": alias
    for name, _, alias in (word.partition(":") for word in SYSTEM_NAMES.split())
}
"""The system's resources, and the names of their types."""

ALIASES: Mapping[str, str] = {alias: name for name, alias in SYSTEM.items()}

DEFINITIONS = frozenset(
    f"system.{name}"
    for name in ("procedures", "rules", "services", "sources", "topics", "types")
)
"""Resources whose instances may be inserted again: the new one replaces the old."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "system.users": ("username",),
    "system.eventacknowledgements": (),
}

QUALIFIED = {"system.k8sclusters", "system.k8sinstallations"}
"""Resources that their types call by the whole name, as the vendor's tests show."""

CHECKS: Mapping[str, type | tuple[type, ...]] = {
    "Boolean": bool,
    "DateTime": str,
    "Integer": int,
    "Object": dict,
    "Real": (int, float),
    "String": str,
}
"""What JSON has for the types of properties; the values of others are not checked."""


@attrs.frozen
class Schema:
    """What the instances of a resource have to be."""

    name: str
    natural_key: tuple[str, ...] = ("name",)
    unique: tuple[tuple[str, ...], ...] = ()
    properties: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)

    @classmethod
    def of_system(cls, name: str) -> Schema:
        """Return the schema of a system resource."""
        return cls(name, KEYS.get(name, ("name",)))

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Schema:
        """
        Read the definition of a type.

        Raises:
            Refused: it is not one.
        """
        name = row.get("name")
        if not isinstance(name, str) or not name:
            raise malformed("A type has a name.", name)
        properties = row.get("properties") or {}
        key = row.get("naturalKey") or []
        indexes = row.get("indexes") or []
        if not (is_objects(properties) and is_names(key) and isinstance(indexes, list)):
            raise malformed(f"The type {name} is not well defined.", name)
        unique = tuple(tuple(each["keys"]) for each in indexes if is_unique(each))
        return cls(name, tuple(key), unique, properties)

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """All that no two instances may have in common."""
        both = [key for key in (self.natural_key, *self.unique) if key]
        return tuple(dict.fromkeys(both))

    def is_text(self, name: str) -> bool:
        """Tell whether a property is one text, and checked to be."""
        facts = self.properties.get(name, {})
        return facts.get("type") == "String" and not facts.get("multi")

    def complete(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new instance with its defaults."""
        row = dict(instance)
        for name, facts in self.properties.items():
            if name not in row and facts.get("defaultValue") is not None:
                row[name] = facts["defaultValue"]
        if self.name == "system.k8sclusters" and isinstance(row.get("name"), str):
            node = f"vantiq-{row['name']}-node".lower()
            row.setdefault("ingressDefaultNode", node)
        return row

    def check(self, row: Mapping[str, Any]) -> None:
        """
        Check that the properties of an instance are as they were defined.

        Raises:
            Refused: one is missing, unknown or of another type.
        """
        for name, facts in self.properties.items():
            value = row.get(name)
            if value is None and facts.get("required"):
                raise malformed(f"The property {name} is required.", name)
            if value is not None and not fits(value, facts):
                message = f"The property {name} is not of type {facts['type']}."
                raise malformed(message, name, facts["type"])


def fits(value: Any, facts: Mapping[str, Any]) -> bool:
    """Tell whether a value is of the type that a property has."""
    wanted = CHECKS.get(str(facts.get("type")))
    if wanted is None or facts.get("multi"):
        return True
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def is_objects(value: Any) -> bool:
    """Tell whether a value is an object of objects."""
    return isinstance(value, Mapping) and all(
        isinstance(each, Mapping) for each in value.values()
    )


def is_unique(index: Any) -> bool:
    """Tell whether a value is an index whose keys no two instances have."""
    if not isinstance(index, Mapping) or not is_names(index.get("keys")):
        return False
    options = index.get("options")
    return isinstance(options, Mapping) and bool(options.get("unique"))


def is_names(value: Any) -> bool:
    """Tell whether a value is an array of names."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def qualified(name: str) -> str | None:
    """Return the whole name of a system resource; None if it is of no such."""
    whole = name if name.startswith("system.") else f"system.{name}"
    return whole if whole in SYSTEM else None


def system_types() -> Sequence[dict[str, Any]]:
    """Return the definitions of the system's types."""
    return [
        {
            "_id": f"{number:024x}",
            "name": alias,
            "resourceName": name if name in QUALIFIED else name[len("system.") :],
            "naturalKey": list(KEYS.get(name, ("name",))),
            "properties": {},
            "ars_namespace": "system",
            "ars_version": 1,
        }
        for number, (name, alias) in enumerate(SYSTEM.items(), 1)
    ]
