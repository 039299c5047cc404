"""CGI's own Python client against the embedded server (extra ``peers``)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Mapping
import logging
from pathlib import Path
from typing import Any
import warnings

import pytest

from asynctasks.server.app import LocalServer
from asynctasks.server.desp.catalogue import Input, describe


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    insula = pytest.importorskip("InsulaWorkflowClient")
    # It adds a handler to the root logger when it is imported.
    root.setLevel(before[0])
    root.handlers[:] = before[1]

pytestmark = [
    pytest.mark.peers,
    # It uses requests without sessions, and leaves sockets to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KEY = "sesame"

WORKFLOW = """
name: joined
type: workflow
version: beta/1
configuration:
  max_parallel_jobs: 2
  continue_on_error: false
  delete_workflow_log: true
steps:
- - name: join
    service_id: '20'
    type: processor
    params:
      - {name: s2_input, values: [Insula is]}
      - {name: s3_input, values: [great!]}
      - {name: collection, values: ['{"result": "eopaas1"}']}
- - name: fetch
    type: downloader
    create_folder_if_not_exits: true
    params:
      - {name: in, values: ['${workflow.step.join}'], save_in: the_results}
"""

FLAKY = """
name: flaky
type: workflow
version: beta/1
configuration: {max_parallel_jobs: 1, continue_on_error: false}
steps:
- - name: flaky
    service_id: '%d'
    type: processor
    params:
      - {name: %s, values: [a, b]}
"""


class BasicAuth(insula.InsulaAuthorizationApiConfig):  # type: ignore[misc]
    """Signs with an API key, which the library leaves to its users."""

    def get_authorization_header(self) -> str:
        """Return the header."""
        return f"Basic {base64.b64encode(f'user:{KEY}'.encode()).decode()}"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide the folder into which the library writes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    """Provide a server that asks for the key."""
    async with LocalServer(api_key=KEY) as server:
        yield server


@pytest.fixture
def quiet() -> Iterator[None]:
    """Keep what the library logs to itself."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def run(server: LocalServer, workflow: str) -> list[Mapping[str, Any]]:
    """Run a workflow; the library blocks."""
    config = insula.InsulaApiConfig(
        server.url,
        BasicAuth(),
        status_polling_interval=0,
        interval_between_requests=0,
    )
    client = insula.InsulaClient(config)
    steps: list[Mapping[str, Any]] = await asyncio.to_thread(client.run, workflow, {})
    return steps


async def test_workflow(server: LocalServer, workplace: Path, quiet: None) -> None:
    """A workflow is configured, launched once, polled, and its file downloaded."""
    steps = await run(server, WORKFLOW)
    files = [each.read_text() for each in (workplace / "the_results").iterdir()]

    assert ["COMPLETED", "COMPLETED"] == [step["status"]["status"] for step in steps]
    assert (["Insula is great!"], 1) == (
        files,
        server.simulator.submissions.total(),
    )


@pytest.mark.parametrize("kind", ["PROCESSOR", "PARALLEL_PROCESSOR"])
async def test_relaunch(
    server: LocalServer, workplace: Path, quiet: None, kind: str
) -> None:
    """What fails is relaunched by the library until it does not."""
    tries: dict[str, int] = {}
    parallel = kind != "PROCESSOR"
    wanted = Input("in", maximum=1 if parallel else 0)

    @server.service("flaky")
    @describe(
        id=77, inputs=[wanted], kind=kind, parallel_input="in" if parallel else None
    )
    async def flaky(inputs: Any) -> Any:
        key = str(inputs["in"])
        tries[key] = tries.get(key, 0) + 1
        if tries[key] < 3:
            raise RuntimeError("not yet")
        return "at last"

    [step] = await run(server, FLAKY % (77, "in"))

    assert ("COMPLETED", {3}) == (step["status"]["status"], set(tries.values()))
    assert len(tries) == len(step["results"])
