"""
What Insula remembers: configurations, jobs, files and collections, and for whom.

A job is run by a simulated task; its states follow from that task, and those of a
parent from its sub-jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import attrs

from .catalogue import Catalogue, Offer
from ..simulator import Simulator
from ..tasks import Order, SimulatedTask, State


__all__ = ["Collection", "Config", "Job", "PlatformFile", "Store", "User"]

WORDS = {
    State.ASSIGNED: "WAITING",
    State.RUNNING: "RUNNING",
    State.SOLVING: "RUNNING",
    State.COMPLETED: "COMPLETED",
    State.FAILED: "ERROR",
}


@attrs.define(eq=False)
class User:
    """Somebody who uses the platform."""

    id: int
    name: str
    credits: float

    @property
    def realm(self) -> str:
        """Whose tasks they are, for the simulator's quota."""
        return f"desp:{self.name}"


@attrs.define(eq=False, kw_only=True)
class Config:
    """A stored job configuration."""

    id: int
    owner: User
    offer: Offer
    inputs: dict[str, list[str]]
    label: str | None = None
    parent: Job | None = None
    parallel: tuple[str, ...] = ()

    @property
    def essence(self) -> tuple[Hashable, ...]:
        """What equal configurations have in common: all but id and label."""
        inputs = frozenset((n, frozenset(each)) for n, each in self.inputs.items())
        parent = None if self.parent is None else self.parent.id
        return self.owner.id, self.offer.id, inputs, parent, self.parallel


@attrs.define(eq=False, kw_only=True)
class Job:
    """One job: a parent of sub-jobs, or what a simulated task runs."""

    id: int
    ext_id: str
    config: Config
    created: float
    is_parent: bool = False
    parts: list[Job] = attrs.field(factory=list)
    task: SimulatedTask | None = None
    order: Order | None = None
    """What its task ran; a relaunch runs it again."""

    within_quota: bool = False
    parent_word: str = "CREATED"
    started: float | None = None
    """When it first ran: a relaunch keeps it."""

    problem: str = ""
    """Why it was not even tried."""

    updated: float = 0.0
    files: list[PlatformFile] = attrs.field(factory=list)

    @property
    def word(self) -> str:
        """The service's word for its state."""
        if self.is_parent:
            return self.parent_word
        if self.task is None:
            return "ERROR"
        if self.task.state is State.QUEUED:
            return "WAITING" if self.within_quota else "PENDING"
        if self.task.state is State.INTERRUPTED:
            # A container that is told to stop ends well, with what it has.
            return "CANCELLED" if self.task.running_at is None else "COMPLETED"
        return WORDS[self.task.state]

    @property
    def ended(self) -> bool:
        """Whether it is over, until it is relaunched."""
        return self.word in {"COMPLETED", "ERROR", "CANCELLED"}

    @property
    def ended_at(self) -> float | None:
        """When it ended."""
        if self.is_parent:
            ends = [part.ended_at for part in self.parts]
            known = [end for end in ends if end is not None]
            return max(known, default=None) if self.ended else None
        if self.task is None:
            return self.created
        return self.task.ended_at


@attrs.define(eq=False, kw_only=True)
class Collection:
    """A collection of files."""

    id: int
    identifier: str
    owner: User
    name: str
    file_type: str
    products_type: str | None = None
    description: str | None = None


@attrs.define(eq=False, kw_only=True)
class PlatformFile:
    """A file of the platform: made by a job, or uploaded."""

    id: int
    resto_id: str
    owner: User
    name: str
    """With the folders before it."""

    kind: str
    collection: str
    """The identifier of its collection."""

    content: bytes = attrs.field(repr=False)
    properties: dict[str, Any] = attrs.field(factory=dict)
    job: Job | None = None

    @property
    def uri(self) -> str:
        """What jobs take as an input."""
        folder = "refData" if self.job is None else "outputProduct"
        return f"eopaas://{folder}/{self.name}"


class Store:
    """
    Everything that one embedded Insula remembers.

    Args:
        simulator: runs the jobs.
        quota: jobs of one user that are under way at the same time.
        wallet: the credits that a user has at first.
        new_id: gives UUIDs, each once.
    """

    def __init__(
        self,
        simulator: Simulator,
        *,
        quota: int,
        wallet: float,
        new_id: Callable[[], str],
    ) -> None:
        self.simulator = simulator
        self.catalogue = Catalogue(simulator)
        self.quota = quota
        self.new_id = new_id
        self.users: dict[str, User] = {}
        self.configs: dict[int, Config] = {}
        self._equal: dict[tuple[Hashable, ...], Config] = {}
        self.jobs: dict[int, Job] = {}
        self.files: dict[int, PlatformFile] = {}
        self.collections: dict[int, Collection] = {}
        self.last_ids: dict[str, int] = {}
        """The last id that was given, by kind."""

        self.open: dict[int, Job] = {}
        """Jobs whose end was not yet taken in, in the order of their launch."""

        self._wallet = wallet
        self._seen = -1

    def next_id(self, kind: str) -> int:
        """Return the next id of a kind."""
        self.last_ids[kind] = self.last_ids.get(kind, 0) + 1
        return self.last_ids[kind]

    def user(self, name: str) -> User:
        """Return a user, who is known from the first request on."""
        if name not in self.users:
            user = User(self.next_id("users"), name, self._wallet)
            self.users[name] = user
            self.simulator.quotas[user.realm] = self.quota
        return self.users[name]

    # --- configurations ------------------------------------------------------

    def add_config(self, config: Config) -> None:
        """Store a configuration; of too many the oldest goes."""
        self.configs[config.id] = config
        self._equal.setdefault(config.essence, config)
        while len(self.configs) > self.simulator.keep:
            self.drop_config(next(iter(self.configs.values())))

    def equal_config(self, wanted: Config) -> Config | None:
        """Return the stored configuration that is equal, if there is one."""
        return self._equal.get(wanted.essence)

    def drop_config(self, config: Config) -> None:
        """Remove a configuration; jobs of it keep theirs."""
        del self.configs[config.id]
        if self._equal.get(config.essence) is config:
            del self._equal[config.essence]

    # --- jobs ----------------------------------------------------------------

    def settle(self, ingest: Callable[[Job], None]) -> None:
        """
        Take in what the tasks did meanwhile.

        Args:
            ingest: is called with each job that has completed.
        """
        if self._seen == self.simulator.changes:
            return  # nothing happened since
        self._seen = self.simulator.changes
        ahead: dict[str, int] = {}
        parents: set[Job] = set()
        for job in list(self.open.values()):
            task = job.task
            if task is not None and not self._is_known(job.config.owner, task):
                self._forget(job)
                continue
            if task is not None and task.running_at is not None and not job.started:
                job.started = task.running_at
            if job.ended:
                del self.open[job.id]
                if job.word == "COMPLETED":
                    ingest(job)
                above = job.config.parent
                if above is not None and above.is_parent:
                    parents.add(above)
                continue
            realm = job.config.owner.realm
            job.within_quota = ahead.get(realm, 0) < self.quota
            ahead[realm] = ahead.get(realm, 0) + 1
        for parent in parents:
            self._settle_parent(parent)
        self._let_go()

    def _let_go(self) -> None:
        """Let the oldest jobs go, where there are too many that have ended."""
        while len(self.jobs) > self.simulator.keep:
            job = next(iter(self.jobs.values()))
            if job.id in self.open or any(part.id in self.open for part in job.parts):
                return
            for each in (job, *job.parts):
                self.jobs.pop(each.id, None)
                for file in each.files:
                    self.files.pop(file.id, None)

    def _is_known(self, owner: User, task: SimulatedTask) -> bool:
        return self.simulator.task(owner.realm, task.id) is task

    def _forget(self, job: Job) -> None:
        """Lose a job whose task the simulator lost."""
        del self.open[job.id]
        del self.jobs[job.id]
        if job.config.parent is not None:
            job.config.parent.parts.remove(job)

    def _settle_parent(self, parent: Job) -> None:
        words = {part.word for part in parent.parts}
        if "ERROR" in words:
            parent.parent_word = "ERROR"  # at once, while others run
        elif words == {"COMPLETED"}:
            parent.parent_word = "COMPLETED"
        parent.files = [file for part in parent.parts for file in part.files]
