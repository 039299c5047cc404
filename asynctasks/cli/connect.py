"""From the options to a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .options import Options
from ..config import Profile
from ..sansio.retry import RetryPolicy


if TYPE_CHECKING:
    from ..aimms import AimmsClient
    from ..client import ClientOptions


__all__ = ["connect", "load_profile"]

ATTEMPTS = 4
"""How often a request is sent at most: somebody is waiting for the prompt."""


def load_profile(options: Options) -> Profile:
    """
    Load the profile that the options, the environment and the file say.

    Raises:
        ConfigError: it cannot be used.
    """
    return Profile.load(options.profile, **options.settings, patience=options.timeout)


def connect(options: Options, **given: Unpack[ClientOptions]) -> AimmsClient:
    """
    Make a client; nothing is sent yet.

    Args:
        options: of the command line.
        given: what the command wants of its client.

    Raises:
        ConfigError: the profile cannot be used.
    """
    from ..aimms import AimmsClient  # noqa: PLC0415 - it loads aiohttp

    given.setdefault("retry", RetryPolicy(attempts=ATTEMPTS))
    return AimmsClient.from_profile(load_profile(options), **given)
