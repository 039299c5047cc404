"""Logging, set up from a file when that is asked for."""

from __future__ import annotations

import os
from pathlib import Path

from ..exceptions import ConfigError


__all__ = ["configure_logging"]


def configure_logging(path: str | os.PathLike[str]) -> None:
    """
    Set up logging as a file in the form of :func:`logging.config.fileConfig` says.

    Loggers that exist already go on. Nothing calls this but you and the command
    line's ``--log-config``.

    .. warning:: Such a file can run any code: load only files that you trust.

    Raises:
        ConfigError: the file cannot be read or is unsound.
    """
    # Not at the top: they load sockets and servers that nothing else needs.
    from configparser import ConfigParser  # noqa: PLC0415
    import logging.config  # noqa: PLC0415

    parser = ConfigParser()
    try:
        parser.read_string(Path(path).read_text("utf-8"))
        logging.config.fileConfig(parser, disable_existing_loggers=False)
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be read: {exc.strerror}") from exc
    except Exception as exc:  # the file is code: anything can go wrong in it
        words = str(exc).partition("\n")[0]
        reason = f"is no sound logging configuration: {type(exc).__name__}: {words}"
        raise ConfigError(str(path), reason) from exc
