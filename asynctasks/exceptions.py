"""
Every error of asynctasks.

::

    AsyncTasksError
    ├── TransportError              no usable answer arrived        .request .sent
    │   ├── ConnectError            refused, unknown host: nothing was sent
    │   ├── TlsError                certificate or host name; never retried
    │   ├── ProxyError              the proxy refused or is unreachable
    │   ├── ConnectionLost          the connection broke after sending
    │   ├── AttemptTimeout          one attempt took too long (also a TimeoutError)
    │   └── SubmitOutcomeUnknown    a submit was sent and its answer is lost
    ├── ResponseError               an answer arrived and says no   .request .response
    │   ├── AuthenticationFailed    401
    │   ├── PermissionDenied        403
    │   ├── NotFound                404
    │   ├── Conflict                409
    │   ├── RateLimited             429, or a Retry-After beyond our cap
    │   ├── RequestRejected         any other answer that refuses
    │   └── ServiceBroken           5xx
    ├── ProtocolError               (abstract)
    │   ├── RemoteProtocolError     the service contradicts its documentation
    │   │   ├── ResponseDecodeError
    │   │   ├── UnexpectedContent
    │   │   ├── ResponseTooLarge
    │   │   └── UntrustedUrl        a server-given link to another origin
    │   └── LocalProtocolError      the caller asked for what cannot be said
    │       ├── UnsupportedOperation
    │       └── InvalidArgument     (also a ValueError)
    ├── TaskError                   about one remote task  .task_id .token .status
    │   ├── TaskFailed              it finished with errors
    │   ├── TaskCancelled           somebody ended it
    │   ├── TaskLost                the service no longer knows its id
    │   ├── ResultUnavailable       it finished, but there is no result to be had
    │   └── PatienceExceeded        we gave up waiting (also a TimeoutError)
    ├── JournalError
    │   ├── JournalCorrupt
    │   ├── JournalLocked
    │   └── JournalFull
    ├── RecordedError               what an earlier run of a batch met  .kind .text
    ├── SubscriberClosed            the subscriber transport is over
    ├── ConfigError                 a profile, a key file or a setting is unusable
    ├── InvalidState                used after close, from another loop
    │                               (also a RuntimeError)
    └── VantiqException             what Vantiq clients raise   .code .message .params
                                    (also a RuntimeError)

Errors hold facts as attributes; the text is computed from them.
None of them holds request headers or credentials.
All of them pickle and copy.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, TypeVar


if TYPE_CHECKING:
    from .sansio.http import Request, Response
    from .sansio.task import TaskStatus


__all__ = [
    "AsyncTasksError",
    "AttemptTimeout",
    "AuthenticationFailed",
    "ConfigError",
    "Conflict",
    "ConnectError",
    "ConnectionLost",
    "InvalidArgument",
    "InvalidState",
    "JournalCorrupt",
    "JournalError",
    "JournalFull",
    "JournalLocked",
    "LocalProtocolError",
    "NotFound",
    "PatienceExceeded",
    "PermissionDenied",
    "ProtocolError",
    "ProxyError",
    "RateLimited",
    "RecordedError",
    "RemoteProtocolError",
    "RequestRejected",
    "ResponseDecodeError",
    "ResponseError",
    "ResponseTooLarge",
    "ResultUnavailable",
    "ServiceBroken",
    "SubmitOutcomeUnknown",
    "SubscriberClosed",
    "TaskCancelled",
    "TaskError",
    "TaskFailed",
    "TaskLost",
    "TlsError",
    "TransportError",
    "UnexpectedContent",
    "UnsupportedOperation",
    "UntrustedUrl",
    "VantiqException",
]

E = TypeVar("E", bound=BaseException)

EXCERPT = 200
"""Characters of a server's text that an error message shows at most."""


def excerpt(text: str) -> str:
    """Make a server's text safe to show: one line, no controls, bounded."""
    shown = "".join(c if c.isprintable() else " " for c in text[: EXCERPT + 1])
    return shown[:EXCERPT] + "…" if len(shown) > EXCERPT else shown


def fresh(error: E) -> E:
    """
    Copy an error that several callers wait for, so that each raises one of its own.

    An instance that is raised again and again collects the tracebacks of everybody,
    and what one of them notes on it shows in the others'. The copy has the cause and
    the traceback so far, and notes of its own. Errors of others come back as they
    are: not all of them can be copied.
    """
    if not isinstance(error, AsyncTasksError):
        return error
    made = copy.copy(error)
    if hasattr(error, "__notes__"):
        made.__notes__ = list(error.__notes__)
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made.with_traceback(error.__traceback__)


class AsyncTasksError(Exception):
    """Base class of everything that asynctasks raises on purpose."""

    retryable: bool = False
    """Whether the same call may succeed later without a change."""

    attempts: int = 1
    """How many attempts were made before this error was raised."""

    status: Any = None
    """
    The HTTP status of the answer, where one arrived; else None.

    :class:`TaskError` holds a task's :class:`TaskStatus` here.
    """

    request_id: str | None = None
    """The service's own id of the request, where it sent one."""

    sent: bool = True
    """Whether the request, or a part of it, may have reached the service."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls __init__ with self.args, which loses attributes and
        # fails for classes that also inherit from TimeoutError (an OSError).
        return self.__class__.__new__, (self.__class__, *self.args), self.__dict__


# --- no usable answer arrived ------------------------------------------------


class TransportError(AsyncTasksError):
    """
    Raised when no usable answer arrived.

    Args:
        reason: what went wrong, in words.
        request: the request, without headers and body.
        sent: whether any part of the request may have reached the service.
    """

    def __init__(
        self, reason: str, request: Request | None = None, sent: bool = True
    ) -> None:
        self.reason = reason
        self.request = request
        self.sent = sent

    def __str__(self) -> str:
        asked = f" ({self.request.describe()})" if self.request else ""
        return f"{self.reason}{asked}"


class ConnectError(TransportError):
    """
    Raised when no connection could be made: refused, or an unknown host.

    Nothing was sent, so that any request, even a submit, may be repeated.
    """

    retryable = True

    def __init__(
        self, reason: str, request: Request | None = None, sent: bool = False
    ) -> None:
        super().__init__(reason, request, sent)


class TlsError(TransportError):
    """
    Raised when the service's certificate or host name does not verify.

    Never retried and never downgraded. For a private authority pass an
    ``ssl.SSLContext`` that trusts it.
    """

    def __init__(
        self, reason: str, request: Request | None = None, sent: bool = False
    ) -> None:
        super().__init__(reason, request, sent)


class ProxyError(TransportError):
    """Raised when the proxy refuses the connection or cannot be reached."""

    def __init__(
        self, reason: str, request: Request | None = None, sent: bool = False
    ) -> None:
        super().__init__(reason, request, sent)


class ConnectionLost(TransportError):
    """Raised when the connection broke after (part of) the request was sent."""

    retryable = True


class AttemptTimeout(TransportError, TimeoutError):
    """
    Raised when one attempt exceeded ``attempt_timeout``.

    Not to be mistaken for :class:`PatienceExceeded`: this is one HTTP attempt.
    """

    retryable = True


class SubmitOutcomeUnknown(TransportError):
    """
    Raised when a submit was sent and its answer was lost.

    The service may or may not have accepted the task. Look it up in the
    service's list of tasks before you submit it again, e.g. with
    ``client.candidates(error)``: a repeated submit can run the work twice. ``cause``
    says how the answer was lost.
    """

    def __init__(
        self,
        cause: AsyncTasksError,
        request: Request | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(str(cause), request, sent)
        self.cause = cause

    service: str = ""
    """What was to be run."""

    config_id: str | None = None
    """The stored configuration that was launched, where there is such a step."""

    began: float = 0.0
    """When the submit began: seconds on the clock of the client's event loop."""

    ahead: float | None = None
    """Seconds by which the wall clock (UTC, since the epoch) was ahead of it then."""

    def __str__(self) -> str:
        return (
            f"the submit was sent but its answer is lost: {self.reason}; the task "
            "may be running: look for it in the service's list before you submit "
            "it again"
        )


# --- an answer arrived and says no -------------------------------------------


class ResponseError(AsyncTasksError):
    """
    Raised when an answer arrived and refuses the request.

    Args:
        response: the answer; its body is at most 64 KiB.
        message: the service's own words, where it gave any.
        request: the request, without headers and body.
    """

    def __init__(
        self, response: Response, message: str = "", request: Request | None = None
    ) -> None:
        self.response = response
        self.message = message
        self.request = request
        self.status: int = response.status
        self.attempts = response.attempts
        self.request_id = response.request_id

    remedy = ""
    """What the caller can do about it, in words."""

    def __str__(self) -> str:
        asked = f"{self.request.describe()} answered " if self.request else "answered "
        words = f": {excerpt(self.message)}" if self.message else ""
        remedy = self._advice()
        return f"{asked}{self.status}{words}{f' ({remedy})' if remedy else ''}"

    def _advice(self) -> str:
        return self.remedy


class AuthenticationFailed(ResponseError):
    """Raised on 401: the service does not accept the credentials."""

    remedy = "check that the key or token is right and has not expired"


class PermissionDenied(ResponseError):
    """Raised on 403: whoever signed the request, if anybody, may not do this."""

    remedy = (
        "check what the key, token or user may do, where the service takes one; "
        "from a local AIMMS it means that there may be no such service"
    )

    def _advice(self) -> str:
        # A service that says what is not allowed knows better: it need not be the key.
        return "" if self.message else self.remedy


class NotFound(ResponseError):
    """Raised on 404."""


class Conflict(ResponseError):
    """Raised on 409."""


class RateLimited(ResponseError):
    """
    Raised on 429, or when the service asks for a longer pause than our cap.

    ``retry_after`` is the number of seconds the service asked for, or None.
    """

    retryable = True

    def __init__(
        self,
        response: Response,
        message: str = "",
        request: Request | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(response, message, request)
        self.retry_after = retry_after

    def __str__(self) -> str:
        if self.retry_after is None:
            return super().__str__()
        return f"{super().__str__()} (try again in {self.retry_after:g} s)"


class RequestRejected(ResponseError):
    """Raised on any other answer that refuses the request."""


class ServiceBroken(ResponseError):
    """Raised on 5xx: the fault is the service's."""

    retryable = True


# --- somebody breaks the protocol --------------------------------------------


class ProtocolError(AsyncTasksError):
    """Base class of the two kinds of protocol errors; never raised itself."""

    def __init__(self, *args: object) -> None:
        if type(self) is ProtocolError:
            raise TypeError("raise RemoteProtocolError or LocalProtocolError")
        super().__init__(*args)


class RemoteProtocolError(ProtocolError):
    """
    Raised when the service contradicts its own documentation.

    Args:
        expected: what the documentation promises, in words.
        response: the answer, where one could be read.
        found: what came instead, in words.
        request: the request, without headers and body.
    """

    def __init__(
        self,
        expected: str,
        response: Response | None = None,
        found: str = "",
        request: Request | None = None,
    ) -> None:
        self.expected = expected
        self.response = response
        self.found = found
        self.request = request
        self.status: int | None = response.status if response is not None else None
        if response is not None:
            self.attempts = response.attempts
            self.request_id = response.request_id

    def __str__(self) -> str:
        asked = f"{self.request.describe()}: " if self.request else ""
        found = f", found {excerpt(self.found)}" if self.found else ""
        return f"{asked}expected {self.expected}{found}"


class ResponseDecodeError(RemoteProtocolError):
    """Raised when an answer cannot be decoded (truncated, not JSON, not UTF-8)."""

    retryable = True


class UnexpectedContent(RemoteProtocolError):
    """
    Raised when an answer is of another kind than documented.

    An HTML page where JSON is documented is usually a proxy's or a portal's
    login page: check the base URL.
    """

    def __str__(self) -> str:
        return f"{super().__str__()}; is this a proxy's or a login page?"


class ResponseTooLarge(RemoteProtocolError):
    """
    Raised when an answer, after decompression, exceeds ``max_response_bytes``.

    Fetch large results with ``download()``, which streams them to disk, or
    raise the limit.
    """

    def __init__(self, limit: int, request: Request | None = None) -> None:
        super().__init__(f"at most {limit:,} bytes", None, "more", request)
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"{super().__str__()}; stream large results with download() "
            "or raise max_response_bytes="
        )


class UntrustedUrl(RemoteProtocolError):
    """
    Raised when the service hands out a link to another origin.

    Credentials are never sent there. Name the origin in ``trusted_origins=``
    if its links are meant to be followed (without credentials).
    """

    def __init__(self, url: str, base: str, request: Request | None = None) -> None:
        super().__init__(f"a link below {base}", None, url, request)
        self.url = url
        self.base = base

    def __str__(self) -> str:
        return (
            f"the service handed out {excerpt(self.url)!r}, which is not below "
            f"{self.base}; name its origin in trusted_origins= to follow it"
        )


class LocalProtocolError(ProtocolError):
    """Raised when the caller asks for something that the dialect cannot say."""


class UnsupportedOperation(LocalProtocolError):
    """
    Raised when a service does not have the operation.

    Args:
        operation: what was asked for.
        service: the service, e.g. ``"AIMMS v2 (local)"``.
        available: what it has instead.
    """

    def __init__(
        self, operation: str, service: str, available: tuple[str, ...] = ()
    ) -> None:
        super().__init__(operation, service, available)
        self.operation = operation
        self.service = service
        self.available = available

    def __str__(self) -> str:
        has = ", ".join(self.available) or "nothing of the kind"
        return f"{self.service} has no {self.operation}; it has: {has}"


class InvalidArgument(LocalProtocolError, ValueError):
    """
    Raised when an argument cannot be used; nothing was sent.

    Args:
        name: the argument.
        value: what was given, as shown to the user; never a secret. An empty text is
            not shown.
        remedy: what to give instead.
    """

    sent = False

    def __init__(self, name: str, value: object, remedy: str) -> None:
        self.name = name
        self.value = value if isinstance(value, str) else _show(value)
        self.remedy = remedy
        super().__init__(name, self.value, remedy)
        self._quoted = isinstance(value, str)

    def __str__(self) -> str:
        shown = excerpt(self.value)
        given = f"={shown!r}" if self._quoted else f"={shown}"
        return f"{self.name}{given if shown else ''}: {self.remedy}"


def _show(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a whole number of 5000 digits, or any code
        return f"<{type(value).__name__}>"


# --- one remote task ---------------------------------------------------------


class TaskError(AsyncTasksError):
    """
    Raised about one remote task.

    Args:
        task_id: the service's id of the task.
        token: the text from which ``client.handle(token)`` makes a handle again.
        status: the last known :class:`TaskStatus`, or None.
    """

    def __init__(
        self, task_id: str, token: str = "", status: TaskStatus | None = None
    ) -> None:
        self.task_id = task_id
        self.token = token
        self.status: TaskStatus | None = status

    def __str__(self) -> str:
        return f"task {excerpt(self.task_id)} {self._what()}"

    def _what(self) -> str:
        return "is in trouble"

    def _words(self) -> str:
        """Return the service's own words about the end of the task."""
        if self.status is None:
            return ""
        message = self.status.message
        said = f" ({excerpt(self.status.word)})" if self.status.word else ""
        return f"{said}: {excerpt(message)}" if message else said


class TaskFailed(TaskError):
    """Raised by ``result()`` when the task finished with errors."""

    def _what(self) -> str:
        return f"failed{self._words()}"


class TaskCancelled(TaskError):
    """
    Raised by ``result()`` when somebody ended the task.

    Not to be mistaken for ``asyncio.CancelledError``.
    """

    def _what(self) -> str:
        return f"was cancelled{self._words()}"


class TaskLost(TaskError):
    """Raised when the service no longer knows the task (404, confirmed)."""

    def _what(self) -> str:
        return (
            "is not known to the service (any more): it was deleted, or the id "
            "belongs to another service or account"
        )


class ResultUnavailable(TaskError):
    """Raised when the task finished but its result cannot be had (any more)."""

    def _what(self) -> str:
        return "finished, but the service has no result for it"


class PatienceExceeded(TaskError, TimeoutError):
    """
    Raised when ``result(timeout=...)`` gave up waiting.

    The remote task goes on and the handle stays valid: wait again, or make a
    handle from ``token`` later, in this process or in another. One whose
    ``status.cancel_requested`` is true was asked to end, and did not in time.
    """

    def __init__(
        self,
        task_id: str,
        token: str = "",
        status: TaskStatus | None = None,
        timeout: float = 0.0,
    ) -> None:
        super().__init__(task_id, token, status)
        self.timeout = timeout

    retryable = True

    @property
    def reason(self) -> str:
        """What happened, without what to do about it."""
        status = self.status
        state = status.state.name if status is not None else "not seen yet"
        asked = status is not None and status.cancel_requested
        goes_on = "it was asked to end, and may yet" if asked else "it goes on"
        waited = f"did not end within {self.timeout:g} s"
        return f"task {excerpt(self.task_id)} {waited} (now: {state}); {goes_on}"

    def __str__(self) -> str:
        return f"{self.reason}: wait again with the same handle or from its token"


# --- the rest ----------------------------------------------------------------


class JournalError(AsyncTasksError):
    """
    Raised when a journal, of a batch or of a client, cannot be used.

    Args:
        path: the journal's file.
        reason: what is wrong and what to do, in words.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"journal {self.path}: {self.reason}"


class JournalCorrupt(JournalError):
    """Raised when a journal is damaged or of an unknown version."""


class JournalLocked(JournalError):
    """Raised when another process uses the journal."""


class JournalFull(JournalError):
    """Raised when the journal can no longer be written (disk full)."""


class RecordedError(AsyncTasksError):
    """
    What an item of a batch failed with in an earlier run, as the journal has it.

    Args:
        kind: the class of the error.
        text: its text.
    """

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class SubscriberClosed(AsyncTasksError):
    """Raised when the subscriber transport is over."""

    def __init__(self, reason: str = "the subscriber transport is closed") -> None:
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class ConfigError(AsyncTasksError):
    """
    Raised when a profile, a key file or another setting is unusable.

    Args:
        source: the file, variable or setting.
        reason: what is wrong and what to do, in words.
    """

    def __init__(self, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class InvalidState(AsyncTasksError, RuntimeError):
    """Raised when something is used after close, twice, or from another loop."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


PLACE = re.compile(r"\{\{|\}\}|\{(\d{0,3})\}")
"""What a message template may hold: doubled braces, and places for parameters."""


class VantiqException(AsyncTasksError, RuntimeError):
    """
    Raised by a Vantiq client; the names of its facts are those of Vantiq's SDK.

    Most refusals of the server are not raised but returned, in
    :attr:`VantiqResponse.errors`. The error behind it, where there is one, is its
    ``__cause__``.

    Args:
        code: the short text that identifies the error.
        message: a template such as ``"No topic {0}"``.
        params: what goes into the template.
    """

    def __init__(
        self, code: str, message: str, params: list[Any] | None = None
    ) -> None:
        self.code = code
        self.message = message
        self.params = [] if params is None else params
        super().__init__(self.text)

    @property
    def text(self) -> str:
        """
        The message with its parameters in their places.

        Not ``str.format``: braces that name no parameter stay as they are, because
        servers quote texts with braces of their own.
        """
        numbers = iter(range(len(self.params)))

        def fill(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            index = int(match[1]) if match[1] else next(numbers, len(self.params))
            return str(self.params[index]) if index < len(self.params) else match[0]

        return PLACE.sub(fill, self.message)

    def __str__(self) -> str:
        return f"VantiqException: code: {self.code}, message={self.text}"

    def __repr__(self) -> str:
        facts = f"code={self.code}, message={self.message}, params={self.params}"
        return f"VantiqException({facts})"
