"""
What Vantiq answers: responses, errors, and the names of its resources.

Names and texts are those of Vantiq's own SDK for Python, because applications that
were written for it look at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import codec
from .http import Response
from ..exceptions import RemoteProtocolError, ResponseDecodeError, VantiqException


__all__ = [
    "VantiqError",
    "VantiqResources",
    "VantiqResponse",
    "parse_errors",
    "parse_response",
    "raise_refusal",
    "read_errors",
    "read_total",
]

JSON = "application/json"

UNLABELLED = "application/octet-stream"
"""The content type of an answer that names none."""

PREFIX = "system."

MAX_DIGITS = 18
"""Of a count at most: it fits into 64 bits then."""

NO_CHARSETS = frozenset(
    {"", "idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"}
)
"""
What Python takes for text encodings and nobody for a charset ("Python Specific
Encodings" of the module codecs): they fail, warn, or take quadratic time.
"""


class VantiqResources:
    """The names of the system resources."""

    ANALYTICS_MODELS = "system.analyticsmodels"
    AUDITS = "system.audits"
    CATALOGS = "system.catalogs"
    CLIENTS = "system.clients"
    COLLABORATIONS = "system.collaborations"
    COLLABORATION_TYPES = "system.collaborationtypes"
    CONFIGURATIONS = "system.configurations"
    DESIGN_MODELS = "system.designmodels"
    DISCUSSIONS = "system.discussions"
    DOCUMENTS = "system.documents"
    EVENT_GENERATORS = "system.eventgenerators"
    GENAI_FLOWS = "system.genaiflows"
    GROUPS = "system.groups"
    IMAGES = "system.images"
    K8S_CLUSTERS = "system.k8sclusters"
    K8S_INSTALLATIONS = "system.k8sinstallations"
    LLMS = "system.llms"
    NAMESPACES = "system.namespaces"
    NODES = "system.nodes"
    ORGANIZATIONS = "system.organizations"
    PROCEDURES = "system.procedures"
    PROFILES = "system.profiles"
    PROJECTS = "system.projects"
    RULES = "system.rules"
    SCHEDULED_EVENTS = "system.scheduledevents"
    SECRETS = "system.secrets"
    SEMANTIC_INDEXES = "system.semanticindexes"
    SERVICES = "system.services"
    SERVICE_CONNECTORS = "system.serviceconnectors"
    SITUATIONS = "system.situations"
    SOURCES = "system.sources"
    SOURCE_IMPLS = "system.sourceimpls"
    STORAGE_MANAGERS = "system.storagemanagers"
    SUBSCRIPTIONS = "system.subscriptions"
    SYSTEM_MODELS = "system.systemmodels"
    TENSORFLOW_MODELS = "system.tensorflowmodels"
    TESTS = "system.tests"
    TEST_REPORTS = "system.testreports"
    TEST_SUITES = "system.testsuites"
    TEST_SUITE_REPORTS = "system.testsuitereports"
    TOKENS = "system.tokens"
    TOPICS = "system.topics"
    # The one name in which a capital survived.
    TRACKING_REGIONS = "system.trackingRegions"
    TYPES = "system.types"
    USERS = "system.users"
    VIDEOS = "system.videos"

    @staticmethod
    def unqualified_name(qualified_name: str | None) -> str | None:
        """Return the name without ``system.``, as paths have it."""
        return qualified_name.removeprefix(PREFIX) if qualified_name else qualified_name


class VantiqError:
    """
    One error of the server, or of the client before it asked the server.

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

    def __str__(self) -> str:
        return f"VantiqError: code: {self.code}, message: {self.message}"

    def __repr__(self) -> str:
        facts = f"code={self.code}, message={self.message}, params={self.params}"
        return f"VantiqError({facts})"


class VantiqResponse:
    """
    What came of an operation.

    Args:
        successful: whether it succeeded.
        status_code: the HTTP status; 400 where the client refused to ask.
        content_type: of the body.
    """

    def __init__(
        self,
        successful: bool,  # noqa: FBT001 - as in the SDK it replaces
        status_code: int,
        content_type: str | None,
    ) -> None:
        self.is_success = successful
        """Whether the operation succeeded."""

        self.status_code = status_code
        """The HTTP status; 400 where the client refused to ask."""

        self.content_type = content_type
        """The media type of the body."""

        self.body: Any = None
        """Decoded JSON, text, bytes, or a stream to read; None where there is none."""

        self.count: int | None = None
        """How many there are in all, where that was asked for."""

        self.errors: list[VantiqError] | None = None
        """What went wrong, in one or more words; None on success."""

    @classmethod
    def from_error(cls, err: VantiqError) -> VantiqResponse:
        """Make the response of an operation that the client refuses."""
        response = cls(successful=False, status_code=400, content_type=None)
        response.errors = [err]
        return response

    def __str__(self) -> str:
        head = (
            f"VantiqResponse: successful: {self.is_success}, "
            f"status_code: {self.status_code}, content_type:{self.content_type}, "
            f"count: {self.count})"
        )
        if not self.is_success:
            lines = [f"Error: {error}" for error in self.errors or []]
        elif isinstance(self.body, list):
            lines = [f"body: {item}" for item in self.body] or ["body: empty"]
        elif hasattr(self.body, "readany"):
            lines = ["body: <<streaming body>>"]
        else:
            lines = [f"body: {self.body}"]
        return "\n\t ".join([head, *lines])

    def __repr__(self) -> str:
        return (
            f"VantiqResponse(successful={self.is_success}, "
            f"status_code={self.status_code}, content_type={self.content_type})"
            f" # count={self.count}, errors={self.errors}, body={self.body}"
        )


def parse_response(response: Response) -> VantiqResponse:
    """
    Read an answer: success or failure, whatever its content type.

    Raises:
        RemoteProtocolError: a success that cannot be read.
    """
    kind = response.media_type or UNLABELLED
    parsed = VantiqResponse(not response.refused, response.status, kind)
    parsed.count = read_total(response)
    if not parsed.is_success:
        parsed.errors = parse_errors(response)
    elif response.reader is not None:
        parsed.body = response.reader
    elif kind == JSON:
        # A success that has nothing to say is labelled as JSON too.
        parsed.body = response.json() if response.body.strip() else None
    elif kind.startswith("text/"):
        parsed.body = _text(response)
    else:
        parsed.body = response.body
    return parsed


def read_total(response: Response) -> int | None:
    """
    Return how many there are in all, where the answer says.

    Raises:
        RemoteProtocolError: it says nonsense.
    """
    if "X-Total-Count" not in response.headers:
        return None
    text = response.headers["X-Total-Count"]
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        found = f"X-Total-Count: {text}"
        raise RemoteProtocolError("a whole number", response.redacted(), found)
    return int(text)


def _text(response: Response) -> str:
    """Decode text as its charset says, or as UTF-8; never fails."""
    kind = response.headers.get("Content-Type", "")
    name = kind.lower().partition("charset=")[2].strip(" \"'").replace("-", "_")
    try:
        return response.body.decode("utf_8" if name in NO_CHARSETS else name, "replace")
    except (LookupError, ValueError):
        return response.body.decode("utf-8", "replace")


def parse_errors(response: Response) -> list[VantiqError]:
    """Read what a refusing answer says, in whatever form; never fails."""
    if response.media_type != JSON:
        message = "Status: {0}, non-json error: {1}"
        params = [response.status, _text(response)]
        return [VantiqError("io.vantiq.python.nonjson.error", message, params)]
    try:
        document = codec.loads(response.body) if response.body.strip() else None
    except ResponseDecodeError:
        message = "Error parsing error messages: {0}"
        params = [_text(response)]
        return [VantiqError("io.vantiq.python.parse.exception", message, params)]
    return read_errors(document, response.status)


def read_errors(document: Any, status: int) -> list[VantiqError]:
    """Read the decoded errors of an answer or of a frame."""
    if isinstance(document, list):
        return [_error(entry, status) for entry in document]
    if isinstance(document, Mapping):
        return [_error(document, status)]
    message = "Received error in an unknown format: {0}"
    return [VantiqError("io.vantiq.python.unknownerrorformat", message, [document])]


def _error(entry: Any, status: int) -> VantiqError:
    if isinstance(entry, Mapping) and "code" in entry:
        # Some answers leave out the parameters, some spell them parms.
        params = entry.get("params", entry.get("parms"))
        listed = params if isinstance(params, list) else []
        return VantiqError(str(entry["code"]), str(entry.get("message", "")), listed)
    if isinstance(entry, Mapping) and "error" in entry:
        return VantiqError(str(status), str(entry["error"]), [])
    message = "Received error in an unknown format: {0}"
    return VantiqError("io.vantiq.python.unknownerrorprops", message, [entry])


def raise_refusal(response: VantiqResponse) -> None:
    """
    Raise what the server refused, for those who do not look at the response.

    Raises:
        VantiqException: the operation failed; with the first error's code.
    """
    if not response.is_success:
        errors = response.errors or [VantiqError(str(response.status_code), "refused")]
        refusal = VantiqException(errors[0].code, errors[0].message, errors[0].params)
        refusal.status = response.status_code
        raise refusal
