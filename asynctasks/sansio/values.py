"""
Values that Vantiq has and JSON has not: money, exact decimals, instants, references.

On the wire they have two forms. The external one is what the REST API reads and
writes, such as ``"USD:12.34"`` or ``"2026-01-31T12:00:00Z"``. The internal one is what
procedures return, such as ``{"currency": "USD", "value": 1234, "scale": 2}``.
:func:`from_vantiq` reads both, :func:`to_vantiq` writes the external one.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Annotated, Any

import attrs

from ..exceptions import InvalidArgument


__all__ = [
    "Currency",
    "GeoJSON",
    "ResourceReference",
    "VantiqType",
    "from_vantiq",
    "to_vantiq",
    "vantiq_json_default",
]


@attrs.frozen(repr=False)
class VantiqType:
    """The Vantiq type that an annotated Python type stands for."""

    name: str

    def __repr__(self) -> str:
        return f"VantiqType({self.name!r})"


GeoJSON = Annotated[dict[str, Any], VantiqType("GeoJSON")]
"""A place: a dict such as ``{"type": "Point", "coordinates": [10.0, 53.5]}``."""

ResourceReference = Annotated[str, VantiqType("ResourceReference")]
"""The path of something in Vantiq, ``/<resource>/<id>``."""


WIDEST = 6144
"""Digits before or behind the point, as of IEEE 754 decimal128; else a text of a few
characters could be a number of a billion digits."""

EXACT = Context(prec=4 * WIDEST, traps=[Inexact, InvalidOperation])
"""Refuses to round."""


def _exact(amount: Any) -> Decimal:
    """Make a finite decimal; a float goes by the digits that it shows."""
    try:
        number = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    except InvalidOperation as exc:
        raise InvalidArgument("amount", amount, "must be a decimal number") from exc
    if not number.is_finite() or abs(number.adjusted()) > WIDEST:
        raise InvalidArgument("amount", amount, "must be finite, and of usual size")
    return number


def _code(_: Any, __: Any, currency: Any) -> None:
    if not isinstance(currency, str) or not currency:
        raise InvalidArgument("currency", currency, "must be a code such as USD")


@attrs.frozen(repr=False, order=False)
class Currency:
    """
    An amount of money: ``str()`` of it is ``"USD:12.34"``.

    It calculates as its amount does and keeps the currency; two currencies do not
    mix.

    Args:
        amount: a Decimal, an int, or digits; a float goes by the digits it shows.
        currency: the code.

    Raises:
        InvalidArgument: the amount is no finite number, the code is empty, or, in a
            calculation, the currencies differ (also a ValueError).
    """

    amount: Decimal = attrs.field(converter=_exact)
    currency: str = attrs.field(validator=_code)

    @classmethod
    def from_vantiq(cls, value: str | Mapping[str, Any] | Currency) -> Currency:
        """
        Read either form.

        Raises:
            InvalidArgument: it is neither ``"USD:12.34"`` nor
                ``{"currency": "USD", "value": 1234, "scale": 2}``.
        """
        if isinstance(value, Currency):
            return value
        if isinstance(value, str):
            code, _, amount = value.partition(":")
            return cls(amount, code)
        if isinstance(value, Mapping) and {"currency", "value"} <= set(value):
            return cls(_scaled(value), value["currency"])
        raise InvalidArgument("value", value, "is no currency: write USD:12.34")

    def to_vantiq(self) -> str:
        """Write the external form."""
        return f"{self.currency}:{self.amount:f}"

    def _amount_of(self, other: object) -> Decimal | None:
        """Return what can be added to or compared with this, if it can."""
        if isinstance(other, Currency):
            if other.currency != self.currency:
                remedy = f"is not {self.currency}; convert it first"
                raise InvalidArgument("currency", other.currency, remedy)
            return other.amount
        return _factor(other)

    def _with(self, amount: Decimal) -> Currency:
        return Currency(amount, self.currency)

    def __add__(self, other: object) -> Currency:
        amount = self._amount_of(other)
        return NotImplemented if amount is None else self._with(self.amount + amount)

    __radd__ = __add__

    def __sub__(self, other: object) -> Currency:
        amount = self._amount_of(other)
        return NotImplemented if amount is None else self._with(self.amount - amount)

    def __rsub__(self, other: object) -> Currency:
        amount = self._amount_of(other)
        return NotImplemented if amount is None else self._with(amount - self.amount)

    def __mul__(self, other: object) -> Currency:
        factor = _factor(other)
        return NotImplemented if factor is None else self._with(self.amount * factor)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Currency:
        factor = _factor(other)
        return NotImplemented if factor is None else self._with(self.amount / factor)

    def __neg__(self) -> Currency:
        return self._with(-self.amount)

    def __abs__(self) -> Currency:
        return self._with(abs(self.amount))

    def __round__(self, ndigits: int = 0) -> Currency:
        return self._with(round(self.amount, ndigits))

    def __bool__(self) -> bool:
        return bool(self.amount)

    def __lt__(self, other: object) -> bool:
        amount = self._amount_of(other)
        return NotImplemented if amount is None else self.amount < amount

    def __le__(self, other: object) -> bool:
        amount = self._amount_of(other)
        return NotImplemented if amount is None else self.amount <= amount

    def __gt__(self, other: object) -> bool:
        amount = self._amount_of(other)
        return NotImplemented if amount is None else self.amount > amount

    def __ge__(self, other: object) -> bool:
        amount = self._amount_of(other)
        return NotImplemented if amount is None else self.amount >= amount

    def __str__(self) -> str:
        return self.to_vantiq()

    def __repr__(self) -> str:
        return f"Currency({self.amount!r}, {self.currency!r})"


def _factor(other: object) -> Decimal | None:
    return Decimal(other) if isinstance(other, Decimal | int) else None


def _scaled(value: Mapping[str, Any]) -> Decimal:
    """Read the internal form: a whole number, and how many digits are decimals."""
    try:
        number = _exact(value.get("value"))
        return _exact(number.scaleb(-value.get("scale", 0), EXACT))
    except (ArithmeticError, TypeError, InvalidArgument) as exc:
        remedy = "is no scaled number"
        raise InvalidArgument("value", dict(value), remedy) from exc


INTERNAL = {
    frozenset({"currency", "value", "scale"}): "Currency",
    frozenset({"value", "scale"}): "Decimal",
    frozenset({"resource", "resourceId"}): "ResourceReference",
}
"""The internal forms that say themselves what they are, by their keys."""


def from_vantiq(value: Any, vantiq_type: str | None = None) -> Any:
    """
    Read a value that came from Vantiq.

    Args:
        value: in either form; lists are read element by element.
        vantiq_type: what it was declared as: ``"Currency"``, ``"Decimal"``,
            ``"ResourceReference"``, ``"DateTime"``. Without it only the internal forms
            are recognised, because a text could be anything.

    Returns:
        A :class:`Currency`, a Decimal, a path, an aware datetime (without a zone it
        counts as UTC); or the value as it is.

    Raises:
        InvalidArgument: it is not of the type (also a ValueError).
    """
    if isinstance(value, list):
        return [from_vantiq(item, vantiq_type) for item in value]
    if vantiq_type is None and isinstance(value, dict):
        vantiq_type = INTERNAL.get(frozenset(value))
    if vantiq_type == "Currency":
        return Currency.from_vantiq(value)
    if vantiq_type == "Decimal":
        return _scaled(value) if isinstance(value, dict) else _exact(value)
    if vantiq_type == "ResourceReference" and isinstance(value, dict):
        return _reference(value)
    if vantiq_type == "DateTime" and isinstance(value, str):
        return _instant(value)
    return value


def _reference(value: dict[str, Any]) -> str:
    try:
        return f"/{value['resource']}/{value['resourceId']}"
    except KeyError as exc:
        raise InvalidArgument("value", value, "is no reference") from exc


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InvalidArgument("value", text, "is no ISO 8601 date and time") from exc
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def to_vantiq(value: Any) -> Any:
    """
    Write a Python value as Vantiq's JSON, dicts, lists and tuples within included.

    What :func:`vantiq_json_default` does not know is left as it is.
    """
    if isinstance(value, dict):
        return {key: to_vantiq(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_vantiq(item) for item in value]
    if isinstance(value, Currency | Decimal | date | time | bytes):
        return vantiq_json_default(value)
    return value


def vantiq_json_default(obj: Any) -> Any:
    """
    Write one value in its external form; made for ``json.dumps(default=...)``.

    A datetime without a zone counts as UTC, bytes become base64.

    Raises:
        TypeError: it is none of these, as ``json.dumps`` wants it.
    """
    if isinstance(obj, Currency):
        return obj.to_vantiq()
    if isinstance(obj, Decimal):
        return f"{obj:f}"
    if isinstance(obj, datetime):
        aware = obj if obj.tzinfo is not None else obj.replace(tzinfo=UTC)
        text = aware.isoformat()
        return f"{text[:-6]}Z" if text.endswith("+00:00") else text
    if isinstance(obj, date | time):
        return obj.isoformat()
    if isinstance(obj, bytes):
        return base64.b64encode(obj).decode()
    raise TypeError(f"Object of type {type(obj).__name__} is not JSON serializable")
