"""Values of Vantiq: both of their forms, and money that calculates."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
import json
import operator
import pickle
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.values import (
    Currency,
    GeoJSON,
    ResourceReference,
    VantiqType,
    from_vantiq,
    to_vantiq,
    vantiq_json_default,
)


USD = Currency("12.34", "USD")


def usd(amount: str) -> Currency:
    return Currency(amount, "USD")


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (Decimal("1.50"), "1.50"),
        (3, "3"),
        ("0.1", "0.1"),
        (0.2, "0.2"),
        ("1E+3", "1000"),
    ],
)
def test_amounts(amount: Any, expected: str) -> None:
    """An amount is exact, whatever it was given as."""
    assert f"EUR:{expected}" == str(Currency(amount, "EUR"))


@pytest.mark.parametrize(
    ("amount", "code"),
    [("abc", "USD"), ("NaN", "USD"), (float("inf"), "USD"), (1, ""), (1, None)],
)
def test_what_is_no_currency(amount: Any, code: Any) -> None:
    """An amount that is no number, or no code, is refused as a ValueError."""
    with pytest.raises(ValueError, match="must be"):
        Currency(amount, code)


@pytest.mark.parametrize(
    "value",
    [USD, "USD:12.34", {"currency": "USD", "value": 1234, "scale": 2}],
)
def test_currency_reads_both_forms(value: Any) -> None:
    """The external and the internal form mean the same."""
    assert USD == Currency.from_vantiq(value)


@pytest.mark.parametrize(
    "value",
    ["12.34", "USD:", ":1", 12, {"currency": "USD"}, {"currency": "USD", "value": "x"}],
)
def test_currency_refuses_other_forms(value: Any) -> None:
    """What is neither form is refused."""
    with pytest.raises(InvalidArgument):
        Currency.from_vantiq(value)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (USD + usd("1"), "13.34"),
        (USD + 1, "13.34"),
        (Decimal(1) + USD, "13.34"),
        (sum([USD, USD], 0), "24.68"),
        (USD - usd("0.34"), "12.00"),
        (20 - USD, "7.66"),
        (USD * 2, "24.68"),
        (Decimal(2) * USD, "24.68"),
        (USD / 2, "6.17"),
        (-USD, "-12.34"),
        (abs(-USD), "12.34"),
        (round(USD, 1), "12.3"),
        (round(USD), "12"),
    ],
)
def test_arithmetic(result: Any, expected: str) -> None:
    """Money calculates as its amount does and keeps its currency."""
    assert usd(expected) == result


def test_comparison() -> None:
    """Amounts of one currency have an order; other currencies are just not equal."""
    small, large = usd("1"), usd("2.0")

    assert small < large
    assert small <= large
    assert large > small
    assert large >= usd("2")
    assert large == usd("2.00")
    assert large != Currency(2, "EUR")
    assert large > 1
    assert hash(large) == hash(usd("2"))
    assert large
    assert not usd("0")


@pytest.mark.parametrize("mix", [operator.add, operator.sub, operator.lt, operator.ge])
def test_currencies_do_not_mix(mix: Any) -> None:
    """Two currencies are neither added nor compared."""
    with pytest.raises(ValueError, match="convert it first"):
        mix(USD, Currency(1, "EUR"))


@pytest.mark.parametrize(
    ("wrong", "left", "right"),
    [
        (operator.add, USD, "1"),
        (operator.sub, USD, 1.5),
        (operator.sub, "1", USD),
        (operator.mul, USD, USD),
        (operator.truediv, USD, "2"),
        (operator.lt, USD, "1"),
        (operator.le, USD, "1"),
        (operator.gt, USD, "1"),
        (operator.ge, USD, "1"),
    ],
)
def test_other_types_are_python_type_errors(wrong: Any, left: Any, right: Any) -> None:
    """What money does not know is a TypeError, as for numbers."""
    with pytest.raises(TypeError):
        wrong(left, right)


def test_values_travel() -> None:
    """Money is copied, pickled and shown."""
    assert USD == copy.copy(USD) == pickle.loads(pickle.dumps(USD))
    assert "Currency(Decimal('12.34'), 'USD')" == repr(USD)


def test_annotations() -> None:
    """The aliases carry the name of the Vantiq type."""
    assert VantiqType("GeoJSON") == get_args(GeoJSON)[1]
    assert VantiqType("ResourceReference") == get_args(ResourceReference)[1]
    assert {VantiqType("a"): 1} == {VantiqType("a"): 1}
    assert "VantiqType('a')" == repr(VantiqType("a"))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("USD:12.34", "Currency", USD),
        ({"currency": "USD", "value": 1234, "scale": 2}, None, USD),
        ({"currency": "USD", "value": 5}, "Currency", usd("5")),
        ("12.50", "Decimal", Decimal("12.50")),
        (12, "Decimal", Decimal(12)),
        (Decimal(1), "Decimal", Decimal(1)),
        ({"value": 1234, "scale": 3}, None, Decimal("1.234")),
        ({"value": 10**40 + 1, "scale": 2}, None, Decimal("1" + "0" * 38 + ".01")),
        ({"value": 0.1, "scale": 1}, None, Decimal("0.01")),
        ({"resource": "types", "resourceId": "Order"}, None, "/types/Order"),
        ("/types/Order", "ResourceReference", "/types/Order"),
        (
            "2026-01-31T12:00:00.5Z",
            "DateTime",
            datetime(2026, 1, 31, 12, 0, 0, 500000, UTC),
        ),
        (
            "2026-01-31T12:00:00",
            "DateTime",
            datetime(2026, 1, 31, 12, tzinfo=UTC),
        ),
        (7, "DateTime", 7),
        (["1", "2"], "Decimal", [Decimal(1), Decimal(2)]),
        ("USD:12.34", None, "USD:12.34"),
        ({"value": 1}, None, {"value": 1}),
        (None, None, None),
        ({"a": 1}, "Object", {"a": 1}),
    ],
)
def test_from_vantiq(value: Any, kind: str | None, expected: Any) -> None:
    """A declared type is read from either form; else only what is unmistakable."""
    assert expected == from_vantiq(value, kind)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("x", "Decimal"),
        ({"value": 1, "scale": 10**30}, "Decimal"),
        ({"value": None, "scale": 1}, None),
        ({"value": "NaN", "scale": 1}, None),
        ({"scale": 1}, "Decimal"),
        ({"value": 1, "scale": 6145}, None),
        ({"value": 1, "scale": float("inf")}, None),
        ({"value": 1, "scale": "2"}, None),
        ({"value": 1, "scale": None}, None),
        ("1E+1000000", "Decimal"),
        ("USD:1E-1000000", "Currency"),
        ("soon", "DateTime"),
        ("12", "Currency"),
        ({"resource": "types"}, "ResourceReference"),
    ],
)
def test_from_vantiq_refuses(value: Any, kind: str | None) -> None:
    """What is not of its type is a ValueError, never an error of decimal."""
    with pytest.raises(InvalidArgument):
        from_vantiq(value, kind)


WRITTEN: list[tuple[Any, Any]] = [
    (USD, "USD:12.34"),
    (Decimal("1E+2"), "100"),
    (datetime(2026, 1, 31, 12, 0, tzinfo=UTC), "2026-01-31T12:00:00Z"),
    (datetime(2026, 1, 31, 12, 0), "2026-01-31T12:00:00Z"),  # noqa: DTZ001 - naive
    (
        datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))),
        "2026-01-31T12:00:00+02:00",
    ),
    (date(2026, 1, 31), "2026-01-31"),
    (time(12, 30), "12:30:00"),
    (b"\x00\xff", "AP8="),
]


@pytest.mark.parametrize(
    ("value", "expected"), WRITTEN, ids=[str(n) for n in range(len(WRITTEN))]
)
def test_writing(value: Any, expected: Any) -> None:
    """Each value is written in its external form, within JSON and alone."""
    assert expected == vantiq_json_default(value)
    assert expected == to_vantiq(value)
    assert {"a": [expected]} == json.loads(
        json.dumps({"a": (value,)}, default=vantiq_json_default)
    )


def test_to_vantiq_goes_deep_and_leaves_the_rest() -> None:
    """Containers are written through; what is JSON already stays."""
    given_value = {"a": [USD, {"b": (Decimal(1),)}], "c": None, "d": 1.5}

    assert {"a": ["USD:12.34", {"b": ["1"]}], "c": None, "d": 1.5} == to_vantiq(
        given_value
    )


def test_unknown_value_is_a_type_error() -> None:
    """What has no form in Vantiq is refused as json.dumps wants it."""
    with pytest.raises(TypeError, match="Object of type object"):
        vantiq_json_default(object())


@given(st.decimals(allow_nan=False, allow_infinity=False), st.sampled_from("ABC"))
def test_currency_round_trip(amount: Decimal, code: str) -> None:
    """Whatever amount is written is read back the same."""
    money = Currency(amount, code)

    assert money == from_vantiq(to_vantiq(money), "Currency")
