"""
Moving bytes: one attempt, no policy.

``base`` says what a transport is. ``session`` is the one over HTTP and TLS: it asks
aiohttp's session (``sending``), or goes straight to aiohttp's connections where nothing
of the session is wanted (``direct``). ``receiving`` and ``unpacking`` know whether a
body is whole. ``sockets`` are its WebSockets; ``failures`` puts aiohttp's errors into
our words.
"""

from __future__ import annotations

from .base import Download, Transport, WebSocketStream
from .session import AiohttpTransport


__all__ = ["AiohttpTransport", "Download", "Transport", "WebSocketStream"]
