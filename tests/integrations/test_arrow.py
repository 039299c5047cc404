"""Results as Arrow tables and pandas data frames."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.integrations.arrow import to_arrow, to_pandas
from asynctasks.sansio.oml_results import open_result
from tests.sansio.oml_samples import exchange


def seed() -> Any:
    *_, (_, response) = exchange("v1-async-group-apply")
    return open_result(response, "J1").json()


def test_arrow() -> None:
    """The documented groups are one table, with their names if wanted."""
    pytest.importorskip("pyarrow")
    table = to_arrow(seed(), group="GROUP")

    assert ["GROUP", "SEPAL_LENGTH", "SPECIES", "COUNT"] == table.column_names
    assert [5, 2, 1] == table["COUNT"].to_pylist()


def test_arrow_of_uneven_rows() -> None:
    """A column that the first row lacks is a column all the same."""
    pytest.importorskip("pyarrow")

    assert [{"A": 1, "B": None}, {"A": None, "B": 2}] == (
        to_arrow([{"A": 1}, {"B": 2}]).to_pylist()
    )
    assert 0 == to_arrow([]).num_rows


def test_pandas() -> None:
    """The documented groups are one data frame."""
    pytest.importorskip("pandas")
    frame = to_pandas(seed())

    assert ["SEPAL_LENGTH", "SPECIES", "COUNT"] == list(frame.columns)
    assert [5.7, 5.6, 6.7] == frame["SEPAL_LENGTH"].tolist()


@pytest.mark.parametrize(
    ("library", "convert"), [("pyarrow", to_arrow), ("pandas", to_pandas)]
)
def test_no_table(library: str, convert: Any) -> None:
    """What is no table is refused."""
    pytest.importorskip(library)

    with pytest.raises(InvalidArgument, match="no table"):
        convert("text")
