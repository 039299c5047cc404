"""
The asyncio client for REST services that run long tasks.

Await a task, map a million, get killed, resume, and nothing is lost or run twice
behind your back; the server is in the box.

Everything public can be imported from here. Modules are loaded when a name of them
is first used, so that ``import asynctasks`` is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from .aimms import AimmsClient as AimmsClient
    from .aimms import AimmsSubmit as AimmsSubmit
    from .aimms import Interruption as Interruption
    from .aimms import read_api_key as read_api_key
    from .batch import Batch as Batch
    from .batch import BatchItem as BatchItem
    from .batch import BatchSubmitter as BatchSubmitter
    from .client import ClientOptions as ClientOptions
    from .client import TaskClient as TaskClient
    from .completion import as_completed as as_completed
    from .config import Profile as Profile
    from .config import configure_logging as configure_logging
    from .desp import DespClient as DespClient
    from .desp import DespResources as DespResources
    from .desp import DespSubmit as DespSubmit
    from .exceptions import AsyncTasksError as AsyncTasksError
    from .exceptions import AttemptTimeout as AttemptTimeout
    from .exceptions import AuthenticationFailed as AuthenticationFailed
    from .exceptions import ConfigError as ConfigError
    from .exceptions import Conflict as Conflict
    from .exceptions import ConnectError as ConnectError
    from .exceptions import ConnectionLost as ConnectionLost
    from .exceptions import InvalidArgument as InvalidArgument
    from .exceptions import InvalidState as InvalidState
    from .exceptions import JournalCorrupt as JournalCorrupt
    from .exceptions import JournalError as JournalError
    from .exceptions import JournalFull as JournalFull
    from .exceptions import JournalLocked as JournalLocked
    from .exceptions import LocalProtocolError as LocalProtocolError
    from .exceptions import NotFound as NotFound
    from .exceptions import PatienceExceeded as PatienceExceeded
    from .exceptions import PermissionDenied as PermissionDenied
    from .exceptions import ProtocolError as ProtocolError
    from .exceptions import ProxyError as ProxyError
    from .exceptions import RateLimited as RateLimited
    from .exceptions import RecordedError as RecordedError
    from .exceptions import RemoteProtocolError as RemoteProtocolError
    from .exceptions import RequestRejected as RequestRejected
    from .exceptions import ResponseDecodeError as ResponseDecodeError
    from .exceptions import ResponseError as ResponseError
    from .exceptions import ResponseTooLarge as ResponseTooLarge
    from .exceptions import ResultUnavailable as ResultUnavailable
    from .exceptions import ServiceBroken as ServiceBroken
    from .exceptions import SubmitOutcomeUnknown as SubmitOutcomeUnknown
    from .exceptions import SubscriberClosed as SubscriberClosed
    from .exceptions import TaskCancelled as TaskCancelled
    from .exceptions import TaskError as TaskError
    from .exceptions import TaskFailed as TaskFailed
    from .exceptions import TaskLost as TaskLost
    from .exceptions import TlsError as TlsError
    from .exceptions import TransportError as TransportError
    from .exceptions import UnexpectedContent as UnexpectedContent
    from .exceptions import UnsupportedOperation as UnsupportedOperation
    from .exceptions import UntrustedUrl as UntrustedUrl
    from .exceptions import VantiqException as VantiqException
    from .handle import TaskHandle as TaskHandle
    from .journal import Journal as Journal
    from .journalled import JournalledTask as JournalledTask
    from .manners import Cleanup as Cleanup
    from .manners import Decode as Decode
    from .manners import ErrorPolicy as ErrorPolicy
    from .manners import RemotePolicy as RemotePolicy
    from .manners import UnknownPolicy as UnknownPolicy
    from .oml import OmlClient as OmlClient
    from .recurring import RecurringTask as RecurringTask
    from .report import BatchReport as BatchReport
    from .resources import Row as Row
    from .resources import Rows as Rows
    from .sansio.answers import decode_content as decode_content
    from .sansio.auth import Auth as Auth
    from .sansio.auth import NoAuth as NoAuth
    from .sansio.auth import Secret as Secret
    from .sansio.auth import api_key as api_key
    from .sansio.auth import basic as basic
    from .sansio.auth import bearer as bearer
    from .sansio.desp_jobs import CostEstimate as CostEstimate
    from .sansio.desp_jobs import LogLine as LogLine
    from .sansio.desp_jobs import OutputFile as OutputFile
    from .sansio.dialect import Capabilities as Capabilities
    from .sansio.dialect import Dialect as Dialect
    from .sansio.events import Event as Event
    from .sansio.events import EventKind as EventKind
    from .sansio.ledger import ItemState as ItemState
    from .sansio.oauth import OAuth2Password as OAuth2Password
    from .sansio.retry import RetryPolicy as RetryPolicy
    from .sansio.schedule import PollPolicy as PollPolicy
    from .sansio.task import TaskRef as TaskRef
    from .sansio.task import TaskState as TaskState
    from .sansio.task import TaskStatus as TaskStatus
    from .server.app import LocalServer as LocalServer
    from .subscriber import StatusSubscription as StatusSubscription
    from .transport import AiohttpTransport as AiohttpTransport
    from .transport import Transport as Transport
    from .vantiq import Batched as Batched
    from .vantiq import Currency as Currency
    from .vantiq import EventStream as EventStream
    from .vantiq import GeoJSON as GeoJSON
    from .vantiq import ResourceReference as ResourceReference
    from .vantiq import Vantiq as Vantiq
    from .vantiq import VantiqError as VantiqError
    from .vantiq import VantiqEvent as VantiqEvent
    from .vantiq import VantiqOptions as VantiqOptions
    from .vantiq import VantiqResource as VantiqResource
    from .vantiq import VantiqResources as VantiqResources
    from .vantiq import VantiqResponse as VantiqResponse
    from .vantiq import VantiqType as VantiqType
    from .vantiq import async_from_sync as async_from_sync
    from .vantiq import execute_procedure as execute_procedure
    from .vantiq import from_vantiq as from_vantiq
    from .vantiq import to_vantiq as to_vantiq
    from .vantiq import vantiq_json_default as vantiq_json_default
    from .vantiq_tasks import VantiqTasks as VantiqTasks

_MODULES = {
    ".aimms": ("AimmsClient", "AimmsSubmit", "Interruption", "read_api_key"),
    ".batch": ("Batch", "BatchItem", "BatchSubmitter"),
    ".client": ("ClientOptions", "TaskClient"),
    ".completion": ("as_completed",),
    ".config": ("Profile", "configure_logging"),
    ".desp": ("DespClient", "DespResources", "DespSubmit"),
    ".exceptions": (
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
    ),
    ".handle": ("TaskHandle",),
    ".journal": ("Journal",),
    ".journalled": ("JournalledTask",),
    ".manners": (
        "Cleanup",
        "Decode",
        "ErrorPolicy",
        "RemotePolicy",
        "UnknownPolicy",
    ),
    ".oml": ("OmlClient",),
    ".recurring": ("RecurringTask",),
    ".report": ("BatchReport",),
    ".resources": ("Row", "Rows"),
    ".sansio.answers": ("decode_content",),
    ".sansio.auth": (
        "Auth",
        "NoAuth",
        "Secret",
        "api_key",
        "basic",
        "bearer",
    ),
    ".sansio.desp_jobs": ("CostEstimate", "LogLine", "OutputFile"),
    ".sansio.dialect": ("Capabilities", "Dialect"),
    ".sansio.events": ("Event", "EventKind"),
    ".sansio.ledger": ("ItemState",),
    ".sansio.oauth": ("OAuth2Password",),
    ".sansio.retry": ("RetryPolicy",),
    ".sansio.schedule": ("PollPolicy",),
    ".sansio.task": ("TaskRef", "TaskState", "TaskStatus"),
    ".server.app": ("LocalServer",),
    ".subscriber": ("StatusSubscription",),
    ".transport": ("AiohttpTransport", "Transport"),
    ".vantiq": (
        "Batched",
        "Currency",
        "EventStream",
        "GeoJSON",
        "ResourceReference",
        "Vantiq",
        "VantiqError",
        "VantiqEvent",
        "VantiqOptions",
        "VantiqResource",
        "VantiqResources",
        "VantiqResponse",
        "VantiqType",
        "async_from_sync",
        "execute_procedure",
        "from_vantiq",
        "to_vantiq",
        "vantiq_json_default",
    ),
    ".vantiq_tasks": ("VantiqTasks",),
}

_EXPORTS = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AimmsClient",
    "AimmsSubmit",
    "AiohttpTransport",
    "AsyncTasksError",
    "AttemptTimeout",
    "Auth",
    "AuthenticationFailed",
    "Batch",
    "BatchItem",
    "BatchReport",
    "BatchSubmitter",
    "Batched",
    "Capabilities",
    "Cleanup",
    "ClientOptions",
    "ConfigError",
    "Conflict",
    "ConnectError",
    "ConnectionLost",
    "CostEstimate",
    "Currency",
    "Decode",
    "DespClient",
    "DespResources",
    "DespSubmit",
    "Dialect",
    "ErrorPolicy",
    "Event",
    "EventKind",
    "EventStream",
    "GeoJSON",
    "Interruption",
    "InvalidArgument",
    "InvalidState",
    "ItemState",
    "Journal",
    "JournalCorrupt",
    "JournalError",
    "JournalFull",
    "JournalLocked",
    "JournalledTask",
    "LocalProtocolError",
    "LocalServer",
    "LogLine",
    "NoAuth",
    "NotFound",
    "OAuth2Password",
    "OmlClient",
    "OutputFile",
    "PatienceExceeded",
    "PermissionDenied",
    "PollPolicy",
    "Profile",
    "ProtocolError",
    "ProxyError",
    "RateLimited",
    "RecordedError",
    "RecurringTask",
    "RemotePolicy",
    "RemoteProtocolError",
    "RequestRejected",
    "ResourceReference",
    "ResponseDecodeError",
    "ResponseError",
    "ResponseTooLarge",
    "ResultUnavailable",
    "RetryPolicy",
    "Row",
    "Rows",
    "Secret",
    "ServiceBroken",
    "StatusSubscription",
    "SubmitOutcomeUnknown",
    "SubscriberClosed",
    "TaskCancelled",
    "TaskClient",
    "TaskError",
    "TaskFailed",
    "TaskHandle",
    "TaskLost",
    "TaskRef",
    "TaskState",
    "TaskStatus",
    "TlsError",
    "Transport",
    "TransportError",
    "UnexpectedContent",
    "UnknownPolicy",
    "UnsupportedOperation",
    "UntrustedUrl",
    "Vantiq",
    "VantiqError",
    "VantiqEvent",
    "VantiqException",
    "VantiqOptions",
    "VantiqResource",
    "VantiqResources",
    "VantiqResponse",
    "VantiqTasks",
    "VantiqType",
    "api_key",
    "as_completed",
    "async_from_sync",
    "basic",
    "bearer",
    "configure_logging",
    "decode_content",
    "execute_procedure",
    "from_vantiq",
    "read_api_key",
    "to_vantiq",
    "vantiq_json_default",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _find_version()
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name], __name__), name)
    globals()[name] = value  # found at once from now on
    return value


def _find_version() -> str:
    """Return the version that is installed; ``"0+unknown"`` where none is."""
    metadata = importlib.import_module("importlib.metadata")
    try:
        return str(metadata.version("asynctasks"))
    except metadata.PackageNotFoundError:  # a checkout on the path
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS, "__version__"})
