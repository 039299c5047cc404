"""Tables in memory: rows by ``_id``, found by their keys, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
import json
from typing import Any

import attrs

from .definitions import check_change
from .refusals import Refused, conflicting, malformed, not_found
from .schema import Schema
from .where import same
from ...exceptions import ResponseDecodeError
from ...sansio import codec


__all__ = ["Row", "Stamp", "Table", "copied", "write_time"]

Row = dict[str, Any]

Note = Callable[[str, Row | None], None]
"""Takes the ``_id`` of what changed, and the row, or None where it is gone."""


@attrs.frozen
class Stamp:
    """Who changes something, where and when."""

    username: str
    namespace: str
    now: float


class Table:
    """
    The instances of one resource in one namespace.

    Args:
        schema: what they have to be.
        note: is told of each change.
    """

    def __init__(self, schema: Schema, note: Note) -> None:
        self.schema = schema
        self.rows: dict[str, Row] = {}
        self._note = note
        self._indexes: dict[tuple[str, ...], dict[str, str]] = {
            key: {} for key in schema.keys
        }

    def find(self, ident: str) -> Row | None:
        """Return the row of this ``_id`` or natural key; None where there is none."""
        if ident in self.rows:
            return self.rows[ident]
        key = self.schema.natural_key
        if len(key) != 1:
            return None
        # What a URL calls 7 may be the number 7.
        for spelling in (ident, *parsed(ident)):
            found = self._indexes[key].get(signature([spelling]))
            if found is not None:
                return self.rows[found]
        return None

    def get(self, ident: str) -> Row:
        """
        Return the row of this ``_id`` or natural key.

        Raises:
            Refused: there is none.
        """
        row = self.find(ident)
        if row is None:
            raise self.missing(ident)
        return row

    def missing(self, ident: str) -> Refused:
        """Return what says that there is no such row."""
        key = self.schema.natural_key
        return not_found(self.schema.name, key[0] if len(key) == 1 else "_id", ident)

    def candidates(self, where: Mapping[str, Any]) -> Iterable[Row]:
        """
        Return rows among which are all that match a query, in their order.

        Who asks for the ``_id`` or a key of one text is not made to wait for a search
        through all rows.
        """
        for name, wanted in where.items():
            texts = texts_of(wanted)
            if texts is not None and name == "_id":
                return self._rows(texts)
            index = self._indexes.get((name,))
            if texts is not None and index is not None and self.schema.is_text(name):
                found = (index.get(signature([text])) for text in texts)
                return self._rows([ident for ident in found if ident is not None])
        return self.rows.values()

    def _rows(self, idents: Collection[str]) -> list[Row]:
        if len(idents) == 1:
            return [self.rows[each] for each in idents if each in self.rows]
        wanted = set(idents)
        return [row for ident, row in self.rows.items() if ident in wanted]

    def twin(self, instance: Mapping[str, Any]) -> Row | None:
        """Return the row that an instance would replace: by its key or ``_id``."""
        row = self.rows.get(str(instance.get("_id")))
        if row is not None:
            return row
        index = self._indexes.get(self.schema.natural_key, {})
        return self.rows.get(
            index.get(self._sign(self.schema.natural_key, instance), "")
        )

    def insert(self, instance: Mapping[str, Any], ident: str, stamp: Stamp) -> Row:
        """
        Store a new row and return it.

        Raises:
            Refused: it is not as defined, or another one has its key.
        """
        if not isinstance(instance, Mapping):
            raise malformed("An instance is a JSON object.", instance)
        row = self.schema.complete(instance)
        row["_id"] = ident
        row["ars_namespace"] = stamp.namespace
        row["ars_version"] = 1
        row["ars_createdAt"] = write_time(stamp.now)
        row["ars_createdBy"] = stamp.username
        self._put(row)
        return row

    def update(self, row: Row, instance: Mapping[str, Any], stamp: Stamp) -> Row:
        """
        Change a row and return what changed.

        Properties that only the server sets are left alone.

        Raises:
            Refused: it would not be as defined, or have another's key.
        """
        if not isinstance(instance, Mapping):
            raise malformed("An instance is a JSON object.", instance)
        changes = {
            name: value
            for name, value in instance.items()
            if name != "_id" and not is_stamped(name) and differs(row, name, value)
        }
        return self._change(row, {**row, **changes}, changes, stamp)

    def replace(self, row: Row, wanted: Mapping[str, Any], stamp: Stamp) -> Row:
        """Make a row what a patch made of it and return what changed."""
        kept = {n: v for n, v in row.items() if n == "_id" or is_stamped(n)}
        free = {n: v for n, v in wanted.items() if n != "_id" and not is_stamped(n)}
        changes = {n: v for n, v in free.items() if differs(row, n, v)}
        gone = {n: None for n in row if n not in free and n not in kept}
        return self._change(row, {**kept, **free}, {**changes, **gone}, stamp)

    def remove(self, ident: str) -> Row:
        """Take a row away and return it."""
        row = self.rows.pop(ident)
        for key, index in self._indexes.items():
            index.pop(self._sign(key, row), None)
        self._note(ident, None)
        return row

    def load(self, row: Row) -> None:
        """Take a row that was stored before."""
        self._place(row)

    def _change(self, row: Row, wanted: Row, changes: Row, stamp: Stamp) -> Row:
        if not changes:
            return {}
        stamps = {
            "ars_version": row.get("ars_version", 0) + 1,
            "ars_modifiedAt": write_time(stamp.now),
            "ars_modifiedBy": stamp.username,
        }
        check_change(self.schema.name, wanted)
        self._put({**wanted, **stamps})
        return {**changes, **stamps}

    def _put(self, row: Row) -> None:
        self.schema.check(row)
        for key, index in self._indexes.items():
            owner = index.get(self._sign(key, row))
            if owner is not None and owner != row["_id"]:
                raise conflicting(self.schema.name, key, [row.get(n) for n in key])
        old = self.rows.get(row["_id"])
        if old is not None:
            for key, index in self._indexes.items():
                index.pop(self._sign(key, old), None)
        self._place(row)
        self._note(row["_id"], row)

    def _place(self, row: Row) -> None:
        self.rows[row["_id"]] = row
        for key, index in self._indexes.items():
            sign = self._sign(key, row)
            if sign:
                index[sign] = row["_id"]

    def _sign(self, key: Sequence[str], row: Mapping[str, Any]) -> str:
        """Return a text for the values of a key; empty where one is missing."""
        values = [row.get(name) for name in key]
        return signature(values) if values and None not in values else ""


def copied(value: Any) -> Any:
    """Return a copy of a value of JSON, several times faster than ``deepcopy``."""
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}
    return [copied(each) for each in value] if isinstance(value, list) else value


def texts_of(wanted: Any) -> list[str] | None:
    """Return the texts one of which a query wants; None where it wants others, too."""
    if isinstance(wanted, str):
        return [wanted]
    given = wanted.get("$in") if isinstance(wanted, Mapping) else None
    if isinstance(given, list) and all(isinstance(each, str) for each in given):
        return given
    return None


def signature(values: Sequence[Any]) -> str:
    """Return a text that is the same for the same values only."""
    return json.dumps(values, sort_keys=True)


def parsed(text: str) -> list[Any]:
    """Return the number or boolean that a text may mean."""
    try:
        value = codec.loads(text.encode())
    except ResponseDecodeError:
        return []
    return [value] if isinstance(value, int | float) else []


def differs(row: Mapping[str, Any], name: str, value: Any) -> bool:
    """Tell whether a property has another value, or is not there."""
    return name not in row or not same(row[name], value)


def is_stamped(name: str) -> bool:
    """Tell whether a property is set by the server only."""
    return name in {
        "ars_createdAt",
        "ars_createdBy",
        "ars_modifiedAt",
        "ars_modifiedBy",
        "ars_namespace",
        "ars_version",
    }


def write_time(seconds: float) -> str:
    """Write a time as Vantiq does: UTC with milliseconds."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
