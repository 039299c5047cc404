"""
Who may ask a server on this machine, and what is asked of it.

A web page may make a browser send requests to this machine, under a name of its own
that it lets resolve to 127.0.0.1 (DNS rebinding) or across sites.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from ..sansio.urls import is_loopback


__all__ = ["bracketed", "complaint", "target_of"]

ABSOLUTE = re.compile(r"\Ahttps?://[^/?]*", re.IGNORECASE)

PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))


def complaint(host: str, origin: str | None, site: str | None = None) -> str:
    """
    Say why a request must come from a foreign web page; empty if it need not.

    Args:
        host: the header of that name.
        origin: the header of that name, where there is one.
        site: ``Sec-Fetch-Site``, which browsers also send where they send no origin,
            as with images and links.
    """
    if not is_here(f"http://{host}"):
        return f"the host {host!r} is not this machine"
    if site == "cross-site" or (origin is not None and not is_here(origin)):
        return "web pages of other sites may not use this server"
    return ""


def is_here(origin: str) -> bool:
    """Tell whether what a client calls an origin is on this machine."""
    try:
        return is_loopback(origin)
    except ValueError:
        return False


def target_of(raw_path: str) -> str:
    """Return path and query as they were sent, percent-encoded where they are not."""
    # aiohttp keeps bytes that are not UTF-8 as lone surrogates.
    raw = raw_path.encode("utf-8", "surrogateescape")
    target = quote(raw, safe=PRINTABLE)
    # RFC 9112 section 3.2.2: a server accepts a whole URL, too.
    return ABSOLUTE.sub("", target)


def bracketed(host: str) -> str:
    """Return a host as it is written in a URL."""
    return f"[{host}]" if ":" in host else host
