"""From the options to a client of whatever service they mean."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
import inspect
from typing import TYPE_CHECKING, Any, Unpack, get_args, get_type_hints

import attrs

from .options import Options
from ..config import Profile
from ..config.protocols import PROTOCOLS
from ..exceptions import UnsupportedOperation
from ..sansio.retry import RetryPolicy


if TYPE_CHECKING:
    from ..client import ClientOptions, TaskClient


__all__ = ["CLIENTS", "check_submit", "connect", "load_profile", "open_client", "sign"]

CLIENTS: Mapping[str, tuple[str, str]] = {
    "aimms": ("aimms", "AimmsClient"),
    "oml": ("oml", "OmlClient"),
    "desp": ("desp", "DespClient"),
    "vantiq": ("vantiq_tasks", "VantiqTasks"),
}
"""The modules of the clients, and their names, by protocol."""

ATTEMPTS = 4
"""How often a request is sent at most: somebody is waiting for the prompt."""

BODY = frozenset({"inputs", "content", "content_type", "files", "key"})
"""The arguments of a submit that every service understands, or refuses by itself."""


def load_profile(options: Options) -> Profile:
    """
    Load the profile that the options, the environment and the file say.

    Raises:
        ConfigError: it cannot be used.
    """
    return Profile.load(options.profile, **options.settings, patience=options.timeout)


def connect(options: Options, **given: Unpack[ClientOptions]) -> TaskClient:
    """
    Make a client; nothing is sent yet.

    Args:
        options: of the command line.
        given: what the command wants of its client.

    Raises:
        ConfigError: the profile cannot be used.
    """
    return open_client(load_profile(options), **given)


def open_client(profile: Profile, **given: Unpack[ClientOptions]) -> TaskClient:
    """Make the client of a profile; nothing is sent yet."""
    given.setdefault("retry", RetryPolicy(attempts=ATTEMPTS))
    module, name = CLIENTS[profile.protocol]
    # Not at the top: they load aiohttp.
    made: Any = getattr(import_module(f"..{module}", __package__), name)
    client: TaskClient = made.from_profile(profile, **given)
    return client


def sign(profile: Profile) -> Profile:
    """Return the profile with any token for its password, so that none is asked for."""
    if profile.password is None and profile.password_file is None:
        return profile
    takes = PROTOCOLS[profile.protocol].settings
    token = "access_token" if "access_token" in takes else "token"
    ready: dict[str, Any] = {token: "not-asked-for"}
    return attrs.evolve(profile, password=None, password_file=None, **ready)


def check_submit(client: TaskClient, arguments: Mapping[str, Any]) -> None:
    """
    Refuse arguments that the service's submit does not take.

    Raises:
        UnsupportedOperation: there are some; it says what there is instead.
    """
    # What AIMMS takes beside the body, it takes in the cloud only.
    hosted = getattr(client.dialect, "hosted", True)
    known = submit_options(type(client)) if hosted else []
    for name in sorted(set(arguments).difference(known, BODY)):
        operation = f"option {name} of a submit"
        raise UnsupportedOperation(operation, client.dialect.title, tuple(known))


def submit_options(client: type[TaskClient]) -> list[str]:
    """Return the names of the keyword arguments of a client's submit."""
    names: list[str] = []
    hints = get_type_hints(client.submit)
    for each in inspect.signature(client.submit).parameters.values():
        if each.kind is each.KEYWORD_ONLY:
            names.append(each.name)
        elif each.kind is each.VAR_KEYWORD:
            (options,) = get_args(hints[each.name])
            names += options.__annotations__
    return sorted(set(names) - BODY)
