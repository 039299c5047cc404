"""Refusals of the Vantiq half."""

from __future__ import annotations

import pytest

from asynctasks.server.vantiq.refusals import (
    Refused,
    conflicting,
    forbidden,
    malformed,
    not_allowed,
    not_found,
    unauthorized,
    unknown_resource,
    unknown_type,
)


@pytest.mark.parametrize(
    ("refused", "status", "params"),
    [
        (
            not_found("system.k8sclusters", "name", "foo"),
            404,
            ["k8sclusters", "{name=foo}"],
        ),
        (unknown_resource("junkola"), 404, ["junkola"]),
        (unknown_type("T"), 404, ["T"]),
        (malformed("Bad {}.", 1), 400, [1]),
        (conflicting("T", ["a", "b"], [1, 2]), 409, ["T", "a=1, b=2"]),
        (unauthorized(), 401, []),
        (forbidden("No."), 403, []),
        (not_allowed("PUT", "types"), 405, ["PUT", "types"]),
    ],
    ids=str,
)
def test_document(refused: Refused, status: int, params: list[object]) -> None:
    """A refusal is an array of one error with code, message and parameters."""
    (error,) = refused.document()

    assert (status, params, str(refused)) == (
        refused.status,
        error["params"],
        error["message"],
    )
    assert error["code"].startswith(("io.vantiq.", "io.asynctasks."))


def test_documented_words() -> None:
    """The vendor's texts are the vendor's, to the letter."""
    missing = not_found("system.k8sclusters", "name", "foo")
    unknown = unknown_resource("junkola")

    assert missing.message == (
        "The requested instance ('{name=foo}') of the k8sclusters resource could not "
        "be found."
    )
    assert unknown.message == (
        "The resource junkola is not recognized as a Vantiq system resource.  "
        "Either correct resource name or adjust access URI/prefix."
    )
