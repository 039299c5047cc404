"""What one user may do in one namespace: the operations, whatever brought them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import attrs

from .definitions import CONTENTS, content_of, prepare
from .functions import call
from .patch import apply_patch
from .paths import event_of_service
from .program import bind, run_program
from .query import nearness, project, sort_rows, substitute
from .refusals import Refused, forbidden, malformed, not_found
from .schema import DEFINITIONS
from .tables import Row, Stamp, Table, copied
from .vail import parse_vail
from .where import compile_where


if TYPE_CHECKING:
    from .world import VantiqWorld

__all__ = ["Desk", "Query"]

MOST_RULES = 1000
"""Rules that one event may lead to, before it is taken for an endless loop."""

PAGE = 1000
"""Rows of a page where a page was asked for without a limit; not documented."""


@attrs.frozen
class Query:
    """What is to be selected."""

    where: Any = None
    props: Any = None
    sort: Any = None
    limit: int | None = None
    page: int | None = None


@attrs.frozen
class Desk:
    """The operations of one user in one namespace."""

    world: VantiqWorld = attrs.field(repr=False)
    username: str
    namespace: str
    depth: int = 0
    """How many rules led here."""

    runs: Iterator[int] = attrs.field(factory=lambda: count(1), eq=False, repr=False)
    """Counts the rules that one event led to."""

    def may_run(self) -> bool:
        """Count one more rule; tell whether there were not too many."""
        return next(self.runs) <= MOST_RULES

    # --- reading -------------------------------------------------------------

    def select(
        self, resource: str, query: Query | None = None
    ) -> tuple[list[Row], int]:
        """Return the rows of a page, and how many there are on all pages."""
        query = Query() if query is None else query
        where = self._where(query.where)
        rows = self._matching(self.table(resource), where)
        near = nearness(where)
        if query.sort:
            rows = sort_rows(rows, query.sort)
        elif near is not None:
            rows.sort(key=near)
        total = len(rows)
        if query.page is not None or query.limit is not None:
            size = query.limit or PAGE
            start = ((query.page or 1) - 1) * size
            rows = rows[start : start + size]
        if query.props:
            rows = [project(row, query.props) for row in rows]
        return copied(rows), total

    def select_one(self, resource: str, ident: str) -> Row:
        """Return one row, by its ``_id`` or its natural key."""
        return dict(copied(self.table(resource).get(ident)))

    def table(self, resource: str) -> Table:
        """Return the table of a resource."""
        return self.world.table(self.namespace, resource)

    # --- writing -------------------------------------------------------------

    def insert(self, resource: str, instance: Any) -> Row:
        """Store an instance and return it as it was stored."""
        table = self.table(resource)
        ready = prepare(table.schema.name, instance)
        twin = table.twin(ready.instance)
        if twin is not None and table.schema.name in DEFINITIONS:
            changes = table.update(twin, ready.instance, self._stamp())
            self._changed(table, twin, changes)
            return self.select_one(resource, twin["_id"])
        row = table.insert(ready.instance, self.world.new_id(), self._stamp())
        if ready.content is not None:
            self._keep(table, row["name"], ready.content)
        self._tell(table, "insert", row)
        return dict(copied(row))

    def insert_many(self, resource: str, instances: Sequence[Any]) -> list[Any]:
        """Store each instance that can be stored; return what became of each."""
        return [self._outcome(resource, instance) for instance in instances]

    def upsert(self, resource: str, instance: Any) -> Row:
        """Store an instance, or return what changed of the one with its key."""
        twin = None
        if isinstance(instance, Mapping):
            twin = self.table(resource).twin(instance)
        if twin is None:
            return self.insert(resource, instance)
        return self.update(resource, twin["_id"], instance)

    def update(self, resource: str, ident: str, instance: Any) -> Row:
        """Change properties of a row and return what changed."""
        table = self.table(resource)
        row = table.get(ident)
        content = None
        if table.schema.name in CONTENTS and isinstance(instance, Mapping):
            ready = prepare(table.schema.name, {"name": row["name"], **instance})
            given = "content" in instance and instance["content"] != row["content"]
            facts = ("content", "contentSize")
            kept = ready.instance if given else {n: row[n] for n in facts}
            instance = {**instance, **{n: kept[n] for n in facts}}
            content = ready.content if given else None
        changes = table.update(row, instance, self._stamp())
        if content is not None:
            self._keep(table, row["name"], content)
        return self._changed(table, row, changes)

    def patch(self, resource: str, ident: str, patch: Any) -> Row:
        """Change a row by a JSON patch and return what changed."""
        table = self.table(resource)
        row = table.get(ident)
        wanted = apply_patch(row, patch)
        if not isinstance(wanted, Mapping):
            raise malformed("A patch leaves a JSON object.")
        return self._changed(table, row, table.replace(row, wanted, self._stamp()))

    def delete_one(self, resource: str, ident: str) -> None:
        """Take a row away."""
        table = self.table(resource)
        row = table.get(ident)
        if row["ars_namespace"] == "system":
            raise forbidden(f"{ident} belongs to the system.", ident)
        self._remove(table, row)
        self._tell(table, "delete", row)

    def delete(self, resource: str, where: Any = None) -> int:
        """
        Take away all rows that match, or all, and return how many they were.

        Raises:
            Refused: none matches the where clause.
        """
        table = self.table(resource)
        rows = [
            row
            for row in self._matching(table, self._where(where))
            if row["ars_namespace"] != "system"
        ]
        if where and not rows:
            what = ", ".join(f"{name}={value}" for name, value in where.items())
            name, _, value = what.partition("=")
            raise not_found(table.schema.name, name, value)
        for row in rows:
            self._remove(table, row)
        bulk = {"ars_bulkOperation": True, "qual": where or {}, "count": len(rows)}
        self._emit(f"/types/{table.schema.name}/delete", bulk)
        return len(rows)

    def upload(self, resource: str, name: str, kind: str, content: bytes) -> Row:
        """Store a file and return the facts of its row."""
        table = self.table(resource)
        ready = prepare(table.schema.name, {"name": name, "fileType": kind})
        facts = content_of(table.schema.name, name, content)
        self.upsert_row(table, {**ready.instance, **facts})
        self._keep(table, name, content)
        row = table.get(name)
        return {n: row[n] for n in ("name", "fileType", "contentSize", "content")}

    def upsert_row(self, table: Table, instance: Mapping[str, Any]) -> None:
        """Store a row that is ready, or change the one with its key."""
        twin = table.twin(instance)
        if twin is not None:
            self._changed(table, twin, table.update(twin, instance, self._stamp()))
            return
        row = table.insert(instance, self.world.new_id(), self._stamp())
        self._tell(table, "insert", row)

    # --- what happens elsewhere ----------------------------------------------

    def publish(self, resource: str, target: str, value: Any) -> None:
        """Publish to a topic, a service event (``service/event``) or a source."""
        publishers = {
            "system.services": self._publish_to_service,
            "system.sources": self._publish_to_source,
            "system.topics": self._publish_to_topic,
        }
        whole = f"system.{resource.removeprefix('system.')}"
        if whole not in publishers:
            raise malformed(f"Nothing can be published to {resource}.", resource)
        publishers[whole](target, value)

    async def execute(self, name: str, arguments: Any) -> Any:
        """Run a procedure and return what it returns."""
        if not isinstance(arguments, Mapping | list):
            raise malformed("Arguments are a JSON object or array.", arguments)
        function = self.world.functions.procedures.get(name)
        if function is None:
            row = self.table("system.procedures").get(name)
            program = parse_vail(row["ruleText"])
            return run_program(program, bind(program, arguments), self)
        return await call(name, function, arguments)

    async def query(self, source: str, body: Any) -> Any:
        """Ask a source and return what it answers."""
        found = self.world.functions.sources.get(source)
        if found is None or found.query is None:
            self.table("system.sources").get(source)
            message = f"The source {source} cannot be queried on this server."
            raise malformed(message, source)
        return await call(source, found.query, [body])

    # --- how -----------------------------------------------------------------

    def _stamp(self) -> Stamp:
        return Stamp(self.username, self.namespace, self.world.clock())

    def _where(self, where: Any) -> Any:
        values = {
            "ars_username": self.username,
            "ars_namespace": self.namespace,
        }
        return {} if where is None else substitute(where, values)

    def _matching(self, table: Table, where: Any) -> list[Row]:
        accepts = compile_where(where)
        return [row for row in table.candidates(where) if accepts(row)]

    def _outcome(self, resource: str, instance: Any) -> Any:
        try:
            return self.insert(resource, instance)
        except Refused as refused:
            # Documented as "a standard response", without its shape.
            return {"status": refused.status, "body": refused.document()}

    def _changed(self, table: Table, row: Row, changes: Row) -> Row:
        if changes:
            new = table.rows[row["_id"]]
            self.world.redefine(self.namespace, table.schema.name, new)
            self._tell(table, "update", new)
        return dict(copied(changes))

    def _remove(self, table: Table, row: Row) -> None:
        table.remove(row["_id"])
        self.world.undefine(self.namespace, table.schema.name, row)

    def _keep(self, table: Table, name: str, content: bytes) -> None:
        self.world.store.keep_content(self.namespace, table.schema.name, name, content)

    def _tell(self, table: Table, what: str, row: Row) -> None:
        key = table.schema.natural_key
        ident = row.get(key[0]) if len(key) == 1 else None
        ident = row["_id"] if ident is None else ident
        self._emit(f"/types/{table.schema.name}/{what}/{ident}", copied(row))

    def _emit(self, path: str, value: Any, facts: Row | None = None) -> None:
        self.world.emit(path, value, self, facts)

    def _publish_to_topic(self, topic: str, value: Any) -> None:
        if not topic.startswith("/"):
            raise malformed("The name of a topic starts with a slash.", topic)
        facts = self.table("system.topics").find(topic)
        self._emit(f"/topics{topic}/publish", value, facts)

    def _publish_to_service(self, target: str, value: Any) -> None:
        service, _, name = target.rpartition("/")
        services = self.table("system.services")
        path, facts = event_of_service(services, service, name)
        self._emit(path, value, facts)

    def _publish_to_source(self, name: str, value: Any) -> None:
        found = self.world.functions.sources.get(name)
        if found is None:
            self.table("system.sources").get(name)
        elif found.publish is not None:
            self.world.functions.run(found.publish, value)
            self.world.wake()
