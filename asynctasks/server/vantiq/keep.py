"""What the Vantiq world keeps over a restart, written down as items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from .events import Pending
from .tables import Row
from ..live import Item
from ...sansio import codec


__all__ = ["CONTENT", "PENDING", "SEQUENCE", "Keep", "parse_items"]

CONTENT = ".content"
PENDING = ".pending"
SEQUENCE = ".sequence"

REALM = "vantiq"


class Keep:
    """Collects what changed since it was last stored."""

    def __init__(self) -> None:
        self.storing = False
        """Whether anybody stores it; otherwise nothing is collected."""

        self._items: dict[tuple[str, str], Item] = {}

    def row(self, namespace: str, resource: str, ident: str, row: Row | None) -> None:
        """Note that a row changed, or is gone."""
        self._note(namespace, resource, ident, row)

    def content(
        self, namespace: str, resource: str, name: str, content: bytes | None
    ) -> None:
        """Note the bytes of a document."""
        realm = f"{REALM} {CONTENT}:{resource} {namespace}"
        self._add(Item(realm, name, content))

    def pending(
        self, namespace: str, name: str, number: int, pending: Pending | None
    ) -> None:
        """Note that a persistent subscription waits for an acknowledgement."""
        document = None
        if pending is not None:
            document = attrs.asdict(pending, recurse=False)
        self._note(namespace, PENDING, f"{name} {number}", document)

    def sequence(self, namespace: str, path: str, number: int | None) -> None:
        """Note the number of the last reliable event of a path."""
        self._note(namespace, SEQUENCE, path, number)

    def take(self) -> Sequence[Item]:
        """Return what changed, each change once."""
        items, self._items = list(self._items.values()), {}
        return items

    def _note(self, namespace: str, resource: str, key: str, document: Any) -> None:
        if self.storing:
            value = None if document is None else codec.dumps(document, name=key)
            self._add(Item(f"{REALM} {resource} {namespace}", key, value))

    def _add(self, item: Item) -> None:
        if self.storing:
            # The last write counts, in the order of the last writes.
            self._items.pop((item.realm, item.key), None)
            self._items[item.realm, item.key] = item


def parse_items(items: Iterable[Item]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what was kept: by namespace and resource, then by key."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for item in items:
        realm, _, rest = item.realm.partition(" ")
        resource, _, namespace = rest.partition(" ")
        if realm != REALM or item.value is None:
            continue
        raw = resource.startswith(CONTENT)
        value = item.value if raw else codec.loads(item.value)
        found.setdefault((namespace, resource), {})[item.key] = value
    return found
