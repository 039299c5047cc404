"""What there is to choose from: types and checks say the same."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.manners import (
    Cleanup,
    Decode,
    Manners,
    RemotePolicy,
    check_cleanup,
    check_policy,
    check_waiting,
)
from asynctasks.sansio.answers import DECODERS


def test_policies() -> None:
    """Each policy of the type is taken, no other."""
    policies = get_args(RemotePolicy)

    assert list(policies) == [check_policy("on_cancel", each) for each in policies]
    with pytest.raises(InvalidArgument, match=r"^on_cancel: choose leave or"):
        check_policy("on_cancel", "")


def test_cleanups() -> None:
    """Each cleanup of the type is taken, no other."""
    cleanups = get_args(Cleanup)

    assert list(cleanups) == [check_cleanup(each) for each in cleanups]
    with pytest.raises(InvalidArgument, match=r"^cleanup='all': choose keep or delete"):
        check_cleanup("all")


def test_decodings() -> None:
    """The type names what can be decoded."""
    assert DECODERS == get_args(Decode)


def test_results_are_kept_unless_they_are_deleted() -> None:
    """What is fetched can be fetched again only where nothing was removed."""
    kept, removed = (
        Manners(patience=1, cleanup=each, on_cancel="leave", on_timeout="leave")
        for each in get_args(Cleanup)
    )

    assert (True, False) == (kept.keeps_results, removed.keeps_results)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (("5", "auto", None, None), "timeout='5'"),
        ((None, "yaml", None, None), "decode='yaml'"),
        ((None, "auto", "kill", None), "on_cancel='kill'"),
        ((None, "auto", None, ""), "on_timeout: choose"),
    ],
)
def test_arguments_of_a_wait(given: tuple[Any, ...], name: str) -> None:
    """Each is looked at; None leaves it to the client."""
    check_waiting(None, "auto", None, None)
    with pytest.raises(InvalidArgument, match=f"^{name}"):
        check_waiting(*given)
