"""The README tells the truth: its matrix, its commands, its imports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import re
import sys

from asynctasks.sansio.aimms import AimmsDialect
from asynctasks.sansio.desp import DespDialect
from asynctasks.sansio.dialect import Capabilities, Dialect
from asynctasks.sansio.oml import OmlDialect, parse_place
from asynctasks.sansio.vantiq_requests import Api
from asynctasks.sansio.vantiq_tasks import VantiqDialect


README = Path(__file__).parent.parent / "README.md"

BEGIN = (
    "<!-- feature matrix: begin (written by tests/test_readme.py from the dialects) -->"
)
END = "<!-- feature matrix: end -->"

OML_URL = "https://adb.example/omlusers"

DIALECTS: dict[str, Dialect] = {
    "AIMMS v1 cloud": AimmsDialect.cloud("v1"),
    "AIMMS v2 cloud": AimmsDialect.cloud("v2"),
    "AIMMS v1 local": AimmsDialect.local("v1"),
    "AIMMS v2 local": AimmsDialect.local("v2"),
    "DESP": DespDialect(origin="https://insula.example"),
    "OML v1": OmlDialect(place=parse_place(OML_URL), version="v1"),
    "OML v2": OmlDialect(place=parse_place(OML_URL), version="v2"),
    "Vantiq": VantiqDialect(api=Api("https://dev.example")),
}

ROWS: dict[str, Callable[[Capabilities], bool]] = {
    "submit, poll, result": lambda _: True,
    "content other than JSON": lambda has: has.content,
    "files with a submit": lambda has: has.files,
    "schedule, repeat": lambda has: has.schedule,
    "cancel": lambda has: has.cancel,
    "delete a task": lambda has: has.delete,
    "list tasks, merged polls": lambda has: has.task_list,
    "read rows": lambda has: verbs(has, "select"),
    "write rows": lambda has: verbs(has, "insert", "update", "upsert"),
    "callbacks from polls": lambda has: not has.push,
    "callbacks from push": lambda has: has.push,
}


def verbs(has: Capabilities, *wanted: str) -> bool:
    """Tell whether some resource has one of these verbs."""
    return any(set(wanted) & having for having in has.resources.values())


def matrix() -> str:
    """Write the feature matrix."""
    names = list(DIALECTS)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for title, has in ROWS.items():
        marks = ["✅" if has(DIALECTS[name].capabilities) else "—" for name in names]
        lines.append(f"| {title} | " + " | ".join(marks) + " |")
    settled = [DIALECTS[name].capabilities.reconcile.value for name in names]
    lines.append("| a lost submit is settled by | " + " | ".join(settled) + " |")
    return "\n".join(lines)


def test_matrix_is_that_of_the_dialects() -> None:
    """The feature matrix is what the dialects declare."""
    text = README.read_text(encoding="utf-8")
    found = text.partition(BEGIN)[2].partition(END)[0].strip()

    assert matrix() == found, "run: python -m tests.test_readme"


def test_named_errors_exist() -> None:
    """Every name of the table of errors can be imported."""
    import asynctasks  # noqa: PLC0415 - lazily, as users do

    text = README.read_text(encoding="utf-8").partition("## When something")[2]
    names = re.findall(r"`([A-Z]\w+)`", text.partition("## More")[0])

    assert names
    assert [] == [name for name in names if not hasattr(asynctasks, name)]


def main() -> None:
    """Write the matrix into the README."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{matrix()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
