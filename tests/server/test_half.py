"""What halves answer with."""

from __future__ import annotations

from asynctasks.server.half import Delayed, refuse


def test_refuse() -> None:
    """A refusal has AIMMS' keys."""
    answer = refuse(404, "NotFound", "no such thing")
    document = {"errorId": "NotFound", "errorCode": 404, "message": "no such thing"}

    assert (404, document) == (answer.status, answer.json())


def test_delayed() -> None:
    """A delayed answer is an answer."""
    answer = Delayed(200, delay=1.5)

    assert (200, 1.5) == (answer.status, answer.delay)
