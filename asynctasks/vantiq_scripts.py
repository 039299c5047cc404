"""Calling Vantiq from scripts: procedures that raise, and async code without a loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
import concurrent.futures
import contextvars
import functools
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar

from .exceptions import VantiqException
from .sansio.vantiq import VantiqResponse
from .sansio.vantiq_requests import Given


__all__ = ["async_from_sync", "execute_procedure"]

P = ParamSpec("P")
R = TypeVar("R")


class Executes(Protocol):
    """What can execute procedures once it is entered."""

    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any: ...

    async def execute(self, procedure_id: str, params: Given) -> VantiqResponse:
        """Execute a procedure."""


async def execute_procedure(
    vantiq_client: Executes, procedure_name: str, params: Given
) -> VantiqResponse:
    """
    Execute a procedure, and raise where it fails.

    A client that is not connected is, for the time of the call; one that is stays so.

    Raises:
        VantiqException: the procedure failed, with the server's words.
    """
    in_use = getattr(vantiq_client, "is_authenticated", None)
    if in_use is not None and in_use():
        response = await vantiq_client.execute(procedure_name, params)
    else:
        async with vantiq_client:
            response = await vantiq_client.execute(procedure_name, params)
    if not response.is_success:
        errors = response.errors or []
        detail = errors[0].message if errors else "no error detail returned"
        code = "io.vantiq.sdk.procedure.execution.failed"
        message = "Execution of procedure {0} failed: {1}"
        raise VantiqException(code, message, [procedure_name, detail])
    return response


def async_from_sync(func: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """
    Make a plain function of an async one.

    Called where a loop runs, it blocks that loop and runs in a thread of its own: there
    it is better to await the async function.
    """

    @functools.wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        def run() -> R:
            return asyncio.run(func(*args, **kwargs))

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return run()
        context = contextvars.copy_context()
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(context.run, run).result()

    return wrapper
