"""
Profiles: where a service is and how to speak to it, from a file and the environment.

::

    default_profile = "prod"

    [profiles.prod]
    account = "acme"                # or url = "https://acme.aimms.cloud"
    app = "Scheduling"
    version = "007"                 # text, so that it stays what it is
    api_key_file = "apikey.txt"     # beside this file; {"apiKey": "..."} or the key

    [profiles.desk]
    url = "http://localhost:8080"

    [profiles.oml]
    protocol = "oml"
    url = "https://adb.example/oml"
    username = "OMLUSER"
    password_file = "password.txt"

    [profiles.desp]
    protocol = "desp"
    url = "https://insula.example"
    username = "me"
    token_file = "token.txt"

The library reads nothing of this by itself: only :meth:`Profile.load` and the command
line look at the environment.
"""

from __future__ import annotations

from .logs import configure_logging
from .profile import Profile
from .protocols import Settings


__all__ = ["Profile", "Settings", "configure_logging"]
