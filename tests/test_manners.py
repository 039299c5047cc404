"""What there is to choose from: types and checks say the same."""

from __future__ import annotations

from typing import get_args

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.manners import (
    Cleanup,
    Decode,
    RemotePolicy,
    check_cleanup,
    check_policy,
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
