"""What went wrong, in our words: the errors of aiohttp end here."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError
import yarl

from ..exceptions import (
    AttemptTimeout,
    ConnectError,
    ConnectionLost,
    InvalidArgument,
    ProxyError,
    RemoteProtocolError,
    TlsError,
)
from ..sansio.http import Request


__all__ = ["FAILURES", "host_of", "reason", "translate"]

FAILURES = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)
"""What an exchange through aiohttp may fail with."""


def translate(
    exc: Exception, request: Request, timeout: float, connect_timeout: float
) -> tuple[Exception, BaseException | None]:
    """
    Turn an error of aiohttp or of the operating system into ours.

    Returns:
        Our error, and the cause it may be chained to: never one that holds the
        request's headers or a proxy's password.
    """
    asked = request.redacted()
    build = next(build for kinds, build in TRANSLATIONS if isinstance(exc, kinds))
    return build(exc, asked, timeout, connect_timeout), _harmless(exc)


def _harmless(exc: BaseException) -> BaseException | None:
    # Those of aiohttp hold headers, queries, or the proxy with its password.
    plain = exc.__cause__ if isinstance(exc, aiohttp.ClientError) else exc
    return None if isinstance(plain, aiohttp.ClientError) else plain


def reason(what: str, exc: BaseException) -> str:
    """Say what failed, in the words of the operating system where it has some."""
    words = getattr(_harmless(exc), "strerror", None)
    return f"{what}: {words}" if words else what


def host_of(request: Request) -> str:
    """Return the host of a request, and its port where it is named."""
    return yarl.URL(request.url, encoded=True).authority


def _tls(exc: Exception, asked: Request, *_: float) -> Exception:
    reason = f"no trusted TLS connection to {host_of(asked)}: {_harmless(exc)}"
    return TlsError(reason, asked)


def _proxy(exc: Exception, asked: Request, *_: float) -> Exception:
    status = getattr(exc, "status", None)
    said = f"it answered {status}" if status else "it cannot be reached"
    return ProxyError(f"the proxy did not connect to {host_of(asked)}: {said}", asked)


def _connect(exc: Exception, asked: Request, *_: float) -> Exception:
    return ConnectError(reason(f"cannot connect to {host_of(asked)}", exc), asked)


def _connect_timeout(
    _: Exception, asked: Request, __: float, connect_timeout: float
) -> Exception:
    reason = f"no connection to {host_of(asked)} within {connect_timeout:g} s"
    return ConnectError(reason, asked)


def _attempt_timeout(
    _: Exception, asked: Request, timeout: float, __: float
) -> Exception:
    return AttemptTimeout(f"no answer within {timeout:g} s", asked)


def _url(exc: Exception, asked: Request, *_: float) -> Exception:
    del exc
    return InvalidArgument("url", asked.url, "is not a usable URL")


def _garbage(exc: Exception, asked: Request, *_: float) -> Exception:
    words = str(getattr(exc, "message", "")) or type(exc).__name__
    return RemoteProtocolError("an HTTP answer", None, words, asked)


def _lost(exc: Exception, asked: Request, *_: float) -> Exception:
    return ConnectionLost(reason("the connection broke", exc), asked)


def _cut_off(exc: Exception, asked: Request, *_: float) -> Exception:
    if isinstance(exc.__cause__, ContentEncodingError):
        found = "what cannot be decompressed"
        return RemoteProtocolError("a body in its content encoding", None, found, asked)
    return ConnectionLost("the answer ended too early", asked)


def _failed(exc: Exception, asked: Request, *_: float) -> Exception:
    return ConnectionLost(f"the exchange failed: {type(exc).__name__}", asked)


def _unsayable(exc: Exception, asked: Request, *_: float) -> Exception:
    return InvalidArgument("request", asked.describe(), f"HTTP cannot say it: {exc}")


TRANSLATIONS: tuple[tuple[Any, Any], ...] = (
    # The first match counts: subclasses stand before their bases.
    ((aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError), _tls),
    (aiohttp.ClientProxyConnectionError, _proxy),
    (aiohttp.ClientHttpProxyError, _proxy),
    (aiohttp.ClientConnectorError, _connect),
    (aiohttp.ConnectionTimeoutError, _connect_timeout),
    (TimeoutError, _attempt_timeout),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), _url),
    ((aiohttp.ClientResponseError, HttpProcessingError), _garbage),
    (aiohttp.ServerDisconnectedError, _lost),
    (aiohttp.ClientPayloadError, _cut_off),
    (OSError, _lost),
    (aiohttp.ClientError, _failed),
    (ValueError, _unsayable),
)
