"""Runs rules and procedures that were written in the small part of VAIL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import logging
from typing import Any, Protocol

from .refusals import Refused
from .syntax import (
    Array,
    Assign,
    Insert,
    Literal,
    Name,
    Object,
    Program,
    Publish,
    Return,
    Value,
)


__all__ = ["Host", "bind", "run_program"]

LOGGER = logging.getLogger("asynctasks.server")

LEVELS = {"debug": logging.DEBUG, "error": logging.ERROR, "warn": logging.WARNING}


class Host(Protocol):
    """What a program may do to its server."""

    @property
    def namespace(self) -> str:
        """The name of the namespace in which it runs."""

    def publish(self, resource: str, target: str, value: Any) -> None:
        """Publish to a topic or a service event."""

    def insert(self, resource: str, instance: Any) -> Any:
        """Insert an instance of a type."""


def bind(program: Program, arguments: Any) -> dict[str, Any]:
    """
    Return the variables with which a procedure starts; what is not given is null.

    Args:
        program: the procedure.
        arguments: by name in an object, or by position in an array.

    Raises:
        Refused: they are not those of its parameters.
    """
    found: dict[str, Any] = dict.fromkeys(program.parameters)
    if isinstance(arguments, Mapping):
        given = dict(arguments)
    elif len(arguments) > len(program.parameters):
        message = f"{program.name} takes {len(program.parameters)} arguments."
        raise Refused(400, "io.asynctasks.procedure.arguments", message)
    else:
        given = dict(zip(program.parameters, arguments, strict=False))
    unknown = given.keys() - found.keys()
    if unknown:
        message = f"{program.name} has no parameter {min(unknown)}."
        raise Refused(400, "io.asynctasks.procedure.arguments", message, [min(unknown)])
    return found | given


def run_program(program: Program, variables: dict[str, Any], host: Host) -> Any:
    """
    Run a rule or procedure to its end and return what it returns.

    Raises:
        Refused: something in it cannot be done.
    """
    for statement in program.block:
        match statement:
            case Return(value):
                return evaluate(value, variables, host)
            case Assign(variable, value):
                variables[variable] = evaluate(value, variables, host)
            case Insert(type_name, value):
                host.insert(type_name, evaluate(value, variables, host))
            case Publish(value, resource, target):
                where = str(evaluate(target, variables, host))
                host.publish(resource, where, evaluate(value, variables, host))
            case called:
                evaluate(called, variables, host)
    return None


def evaluate(value: Value, variables: Mapping[str, Any], host: Host) -> Any:
    """Return what a value is now."""
    match value:
        case Literal(constant):
            return constant
        case Array(items):
            return [evaluate(item, variables, host) for item in items]
        case Object(members):
            return {n: evaluate(member, variables, host) for n, member in members}
        case Name(parts):
            return look_up(parts, variables)
    arguments = [evaluate(argument, variables, host) for argument in value.arguments]
    return call(value.function, arguments, host)


def look_up(parts: Sequence[str], variables: Mapping[str, Any]) -> Any:
    """Return a variable, or a member of its value; null where there is no member."""
    first, *rest = parts
    if first not in variables:
        message = f"The variable {first} has no value."
        raise Refused(400, "io.asynctasks.vail.variable", message, [first])
    found = variables[first]
    for part in rest:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def call(function: str, arguments: Sequence[Any], host: Host) -> Any:
    """Call a function."""
    if function == "Context.namespace":
        return host.namespace
    if function.startswith("log."):
        level = LEVELS.get(function.removeprefix("log."), logging.INFO)
        LOGGER.log(level, "%s", fill(*arguments))
    # Event.ack() is left: rules get each event once here, acknowledged or not.
    return None


def fill(template: Any, values: Any = (), *_: Any) -> str:
    """Put values in place of the braces of a log line."""
    text = str(template)
    for value in values if isinstance(values, list) else ():
        text = text.replace("{}", str(value), 1)
    return text
