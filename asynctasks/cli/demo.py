"""``asynctasks demo``: a server, a client, a real task, and what comes of it."""

from __future__ import annotations

import secrets
import shutil
import time
from typing import TYPE_CHECKING, Any

import attrs
import click

from .command import Command, pass_options
from .gantt import BLOCKS, parse_bars, render_gantt
from .options import Options, talk_options
from .statuses import build_document, describe
from .terminal import Terminal
from ..exceptions import AsyncTasksError
from ..sansio.task import TaskState, TaskStatus


if TYPE_CHECKING:
    from rich.text import Text

    from ..sansio.events import Event


__all__ = ["demo_command"]

SERVICE = "equalParallelMachineTimeIndexedMIP"

WIDTH = 100
"""A chart that is wider is not clearer."""

PATIENCE = 120.0

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
"""The line that moves."""

COLORS = {
    TaskState.QUEUED: "yellow",
    TaskState.RUNNING: "cyan",
    TaskState.SUCCEEDED: "green",
    TaskState.FAILED: "red",
    TaskState.CANCELLED: "red",
}


@click.command("demo", cls=Command)
@talk_options
@pass_options
async def demo_command(options: Options) -> None:
    """
    See a real task run: on a server of its own, in a few seconds.

    It starts the embedded server on a free port, submits a scheduling problem as to
    AIMMS PRO in the cloud, has a callback told of the states, and draws the schedule.
    """
    from ..aimms import AimmsClient  # noqa: PLC0415 - it loads aiohttp
    from ..sansio.schedule import PollPolicy  # noqa: PLC0415
    from ..server.app import LocalServer  # noqa: PLC0415
    from ..server.services import load_instance  # noqa: PLC0415

    inputs, key = load_instance(), secrets.token_hex(16)
    async with (
        LocalServer(api_key=key) as server,
        AimmsClient.cloud(
            server.url,
            app="Bakery",
            version="007",
            api_key=key,
            poll=PollPolicy(wait_initial=0.05, wait_max=0.25),
            patience=PATIENCE,
        ) as client,
    ):
        show = build_view(options)
        show.begin(server.url, client.dialect.title, inputs)
        with show:
            await client.subscribe(show.receive, service=SERVICE)
            task = await client.submit(SERVICE, inputs)
            answer = await task.result()
    document = build_document(task.id, task.token, task.last_status)
    show.end(inputs, answer, document)


class Story:
    """Tells the demo as lines of text; see :class:`Film` for people who watch."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.marks = "▸", "●", "✔", "✘"
        if not terminal.can_show("".join(self.marks)):
            self.marks = ">", "*", "+", "x"
        self._begun = time.monotonic()
        self._last: TaskStatus | None = None

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, *exc_info: object) -> None:
        pass

    def begin(self, url: str, title: str, inputs: dict[str, Any]) -> None:
        """Say what there is."""
        size = f"{len(inputs['activities'])} activities, {len(inputs['resources'])}"
        facts = {
            "server": f"{url} speaks {title}, no account needed",
            "task": f"{SERVICE}: {size} machines",
            "callback": "client.subscribe() tells of each state",
        }
        self.terminal.write(self.terminal.paint("asynctasks demo", bold=True))
        self.terminal.write()
        for name, fact in facts.items():
            shown = self.terminal.paint(
                f"{self.marks[0]} {name:<8}", fg="blue", bold=True
            )
            self.terminal.write(f"  {shown}  {fact}")
        self.terminal.write()

    def receive(self, event: Event) -> None:
        """Take in an event: the callback of the subscription."""
        if event.status is not None:
            self._last = event.status
            self.tell(event.status)
        elif isinstance(event.error, AsyncTasksError):
            self.terminal.complain(str(event.error))

    def tell(self, status: TaskStatus) -> None:
        """Print a state."""
        self.terminal.write(self.line(status))

    def line(self, status: TaskStatus) -> str:
        """Write a state."""
        mark = self.marks[1]
        if status.done:
            mark = self.marks[2 if status.state is TaskState.SUCCEEDED else 3]
        shown = self.terminal.paint(
            f"{mark} {describe(status)}", fg=COLORS.get(status.state)
        )
        return f"  {self.elapsed:6.2f} s  {shown}"

    @property
    def elapsed(self) -> float:
        """Seconds since the submit."""
        return time.monotonic() - self._begun

    def end(self, inputs: Any, answer: Any, document: Any) -> None:
        """Draw the schedule and say how good it is."""
        del document
        columns = shutil.get_terminal_size().columns
        chart = render_gantt(
            parse_bars(inputs, answer),
            width=min(columns - 2, WIDTH),
            color=self.terminal.colorful,
            ascii_only=not self.terminal.can_show("".join(attrs.astuple(BLOCKS))),
        )
        self.terminal.write()
        self.terminal.write("\n".join(f"  {line}" for line in chart.split("\n")))
        self.terminal.write()
        self.terminal.write(f"  {self.verdict(answer)}")
        self.terminal.write()
        self.terminal.say('next: "asynctasks serve" keeps a server running')

    def verdict(self, answer: Any) -> str:
        """Say how long the schedule is, and what is known of shorter ones."""
        [kpis] = answer["KPIs"]
        makespan = self.terminal.paint(f"makespan {kpis['makespan']:g}", bold=True)
        if kpis["gap"] == 0:
            proof = self.terminal.paint("proven optimal", fg="green", bold=True)
        else:
            proof = self.terminal.paint(
                f"at most {kpis['gap']:.1%} too long", fg="yellow"
            )
        return f"{makespan}, {proof} (no schedule is shorter than {kpis['bound']:g})"


class Film(Story):
    """Tells the demo with a line that moves while the task runs."""

    def __init__(self, terminal: Terminal) -> None:
        from rich.live import Live  # noqa: PLC0415 - for the few who draw

        super().__init__(terminal)
        self._frames = FRAMES if terminal.can_show(FRAMES) else "-\\|/"
        self._live = Live(
            console=terminal.console(),
            get_renderable=self.draw,
            refresh_per_second=15,
            transient=True,
        )

    def __enter__(self) -> None:
        super().__enter__()
        self._live.start()

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def tell(self, status: TaskStatus) -> None:
        """Print a state above the moving line."""
        from rich.text import Text  # noqa: PLC0415

        self._live.console.print(Text.from_ansi(self.line(status)))

    def draw(self) -> Text:
        """Draw the moving line."""
        from rich.text import Text  # noqa: PLC0415

        frame = self._frames[int(self.elapsed * 12) % len(self._frames)]
        state = self._last.state.value if self._last else "submitting"
        return Text(f"  {self.elapsed:6.2f} s  {frame} {state} ...", "dim")


class Document(Story):
    """Tells nothing but the end, as JSON."""

    def begin(self, url: str, title: str, inputs: dict[str, Any]) -> None:
        """Say nothing."""

    def tell(self, status: TaskStatus) -> None:
        """Say nothing."""

    def end(self, inputs: Any, answer: Any, document: Any) -> None:
        """Print task, inputs and answer."""
        whole = {"task": document, "inputs": inputs, "answer": answer}
        self.terminal.write_document(whole)


def build_view(options: Options) -> Story:
    """Choose how to tell it."""
    if options.json:
        return Document(options.terminal)
    return (Film if options.terminal.interactive else Story)(options.terminal)
