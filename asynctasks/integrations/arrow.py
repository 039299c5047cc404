"""
Tables of results as Arrow tables or pandas data frames (extra ``arrow``).

They take what :func:`~asynctasks.oml.rows_of` takes: rows, columns, or groups of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..oml import rows_of


if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


__all__ = ["to_arrow", "to_pandas"]


def to_arrow(result: Any, *, group: str | None = None) -> pa.Table:
    """
    Make an Arrow table of a result.

    Args:
        result: what ``result()`` returned.
        group: the column in which the name of the group is put; None puts it
            nowhere.

    Raises:
        InvalidArgument: it is no table.
        pyarrow.ArrowInvalid: a column has values of several kinds.
    """
    # Here, so that each function needs its own library only.
    import pyarrow as pa  # noqa: PLC0415

    rows = rows_of(result, group=group)
    # Named here: pyarrow looks at the first row only.
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pa.table(columns)


def to_pandas(result: Any, *, group: str | None = None) -> pd.DataFrame:
    """
    Make a pandas data frame of a result; see :func:`to_arrow`.

    Raises:
        InvalidArgument: it is no table.
    """
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(rows_of(result, group=group))
