"""The data of the Vantiq world: tables by namespace and resource, and documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from .keep import CONTENT, SEQUENCE, Keep
from .refusals import forbidden, not_found, unknown_type
from .schema import ALIASES, SYSTEM, Schema, system_types
from .tables import Row, Stamp, Table


__all__ = ["Store"]

FIRST_TYPE = 0xF0000
"""The number of the first type that is no system's."""

SHARED = {"system.namespaces", "system.users"}
"""Resources of the whole server, not of one namespace."""


class Store:
    """
    All tables and documents.

    Args:
        home: the namespace that is there from the start.
        users: gives the users that are there from the start.
    """

    def __init__(self, home: str, users: Callable[[], Iterable[Row]]) -> None:
        self.home = home
        self.kept = Keep()
        self.types: list[Row] = []
        """Types that are there from the start, besides the system's."""

        self._users = users
        self._tables: dict[tuple[str, str], Table] = {}
        self._contents: dict[tuple[str, str, str], bytes] = {}
        self._sequences: dict[tuple[str, str], int] = {}

    # --- tables --------------------------------------------------------------

    def table(self, namespace: str, name: str) -> Table:
        """
        Return the table of a resource: a system resource by its whole name.

        Raises:
            Refused: there is no such type.
        """
        resource = ALIASES.get(name, name)
        place = (self.home if resource in SHARED else namespace, resource)
        if place not in self._tables:
            self._tables[place] = self._new_table(*place)
            for row in self._seeds(resource):
                self._tables[place].load(row)
        return self._tables[place]

    def check_namespace(self, name: str) -> None:
        """
        Check that there is a namespace.

        Raises:
            Refused: there is none.
        """
        if self.table(self.home, "system.namespaces").find(name) is None:
            raise forbidden(f"The namespace {name} is not accessible.", name)

    def redefine(self, namespace: str, name: str) -> None:
        """Give the rows of a type the keys of its new definition."""
        old = self._tables.pop((namespace, name), None)
        if old is not None:
            new = self._tables[namespace, name] = self._new_table(namespace, name)
            for row in old.rows.values():
                new.load(row)

    def drop(self, namespace: str, name: str) -> None:
        """Take a table away, and all its rows."""
        table = self._tables.pop((namespace, name), None)
        for ident in [] if table is None else list(table.rows):
            self.kept.row(namespace, name, ident, None)

    def empty(self, namespace: str) -> None:
        """Take all of a namespace away."""
        for owner, resource in [
            place for place in self._tables if place[0] == namespace
        ]:
            self.drop(owner, resource)
        for owner, resource, name in list(self._contents):
            if owner == namespace:
                self.drop_content(owner, resource, name)

    def clear(self) -> None:
        """Take everything away."""
        for namespace in {place[0] for place in (*self._tables, *self._contents)}:
            self.empty(namespace)
        for namespace, path in self._sequences:
            self.kept.sequence(namespace, path, None)
        self._sequences.clear()

    # --- documents -----------------------------------------------------------

    def content(self, namespace: str, resource: str, name: str) -> bytes:
        """
        Return the bytes of a document.

        Raises:
            Refused: there is no such document.
        """
        found = self._contents.get((namespace, resource, name))
        if found is None:
            raise not_found(resource, "name", name)
        return found

    def keep_content(
        self, namespace: str, resource: str, name: str, content: bytes
    ) -> None:
        """Keep the bytes of a document."""
        self._contents[namespace, resource, name] = content
        self.kept.content(namespace, resource, name, content)

    def drop_content(self, namespace: str, resource: str, name: str) -> None:
        """Forget the bytes of a document."""
        self._contents.pop((namespace, resource, name), None)
        self.kept.content(namespace, resource, name, None)

    # --- events --------------------------------------------------------------

    def next_sequence(self, namespace: str, path: str) -> int:
        """Return the number of the next reliable event of a path."""
        number = self._sequences.get((namespace, path), 0) + 1
        self._sequences[namespace, path] = number
        self.kept.sequence(namespace, path, number)
        return number

    # --- over a restart ------------------------------------------------------

    def load(self, found: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Take what was kept."""
        # Types first: they say how the rows of others are found.
        for (namespace, resource), rows in sorted(
            found.items(), key=lambda each: each[0][1] != "system.types"
        ):
            if not resource.startswith("."):
                table = self.table(namespace, resource)
                for row in rows.values():
                    table.load(row)
            elif resource.startswith(CONTENT):
                owner = resource.partition(":")[2]
                for name, content in rows.items():
                    self._contents[namespace, owner, name] = content
            elif resource == SEQUENCE:
                for path, number in rows.items():
                    self._sequences[namespace, path] = number

    # --- how -----------------------------------------------------------------

    def _new_table(self, namespace: str, resource: str) -> Table:
        if resource in SYSTEM:
            schema = Schema.of_system(resource)
        else:
            row = self.table(namespace, "system.types").find(resource)
            if row is None:
                raise unknown_type(resource)
            schema = Schema.parse(row)
        return Table(schema, partial(self.kept.row, namespace, resource))

    def _seeds(self, resource: str) -> Iterable[Row]:
        """Return the rows that are there from the start."""
        if resource == "system.types":
            types = enumerate(self.types, FIRST_TYPE)
            own = [self._seed(resource, row, f"{n:x}") for n, row in types]
            return [*system_types(), *own]
        if resource == "system.namespaces":
            return [self._seed(resource, {"name": self.home}, "1")]
        if resource == "system.users":
            users = enumerate(self._users(), 1)
            return [self._seed(resource, row, f"{n:x}") for n, row in users]
        return []

    def _seed(self, resource: str, row: Row, number: str) -> Row:
        table = Table(Schema.of_system(resource), lambda *_: None)
        # What is no system's own can be deleted.
        owner = self.home if resource == "system.types" else "system"
        stamp = Stamp("system", owner, 0.0)
        return table.insert(row, number.zfill(24), stamp)
