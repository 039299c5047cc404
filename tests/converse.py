"""Drives a flow by hand: no loop, no mock, no port."""

from __future__ import annotations

from typing import TypeVar

from asynctasks.sansio.http import Flow, Request, Response, Sleep


__all__ = ["converse"]

T = TypeVar("T")

WOKEN = Response(0)
"""What a flow is sent after it slept; it must not look at it."""


def converse(
    flow: Flow[T],
    *answers: Response | BaseException,
    asked: list[Request | Sleep] | None = None,
) -> tuple[list[Request | Sleep], T]:
    """
    Answer a flow's requests one after the other; raise what it raises.

    Args:
        flow: the conversation.
        answers: a response to send, or an exception to throw, for each request.
            A :class:`Sleep` takes none of them.
        asked: a list to fill with what is asked, for flows that raise.

    Returns:
        Everything that it yielded, in order, and what it returned.

    Raises:
        AssertionError: it asks more, or less, than there are answers.
    """
    requests = [] if asked is None else asked
    left = list(answers)
    try:
        step = next(flow)
        while True:
            requests.append(step)
            step = _answer(flow, step, left)
    except StopIteration as stop:
        assert not left, f"answers that nobody asked for: {left}"
        return requests, stop.value


def _answer(
    flow: Flow[T], step: Request | Sleep, left: list[Response | BaseException]
) -> Request | Sleep:
    if isinstance(step, Sleep):
        return flow.send(WOKEN)
    assert left, f"no answer for {step!r}"
    answer = left.pop(0)
    if isinstance(answer, BaseException):
        return flow.throw(answer)
    return flow.send(answer)
