"""The packaged table."""

from __future__ import annotations

from collections import Counter

from asynctasks.server.oml.iris import build_iris


def test_plants() -> None:
    """There are 150 plants, with the means that R. A. Fisher's have."""
    rows = build_iris()
    means = [
        round(sum(row[f"{part}_{side}"] for row in rows) / 150, 4)
        for part in ("SEPAL", "PETAL")
        for side in ("LENGTH", "WIDTH")
    ]

    assert {"setosa": 50, "versicolor": 50, "virginica": 50} == Counter(
        row["SPECIES"] for row in rows
    )
    assert [5.8433, 3.0573, 3.758, 1.1993] == means


def test_rows_are_new() -> None:
    """What one server does with its rows does not reach another's."""
    build_iris()[0]["SPECIES"] = "rose"

    assert "setosa" == build_iris()[0]["SPECIES"]
