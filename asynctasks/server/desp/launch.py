"""Configurations and jobs of Insula: stored, launched, split, ended, run again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import itertools
import math
from typing import Any

from .calls import Call, Refused
from .facts import write_zulu
from .store import Config, Job
from ..tasks import Interrupt, Order, State
from ...sansio import codec
from ...sansio.http import Response


__all__ = [
    "cancel",
    "create_config",
    "estimate",
    "launch",
    "logs",
    "relaunch_failed",
    "terminate",
]

MOST_PARTS = 10_000
"""Sub-jobs of a job; which limit Insula has is not documented."""

SINGLE_INPUT = "input"
"""What a sub-job gets its value as, where the service names no input of its own."""


def create_config(call: Call) -> Response:
    """Store a configuration; an equal one is found again, and labelled anew."""
    document = call.document()
    offers = {offer.id: offer for offer in call.store.catalogue.offers()}
    offer = call.referred(offers, document.get("service"))
    inputs = document.get("inputs")
    if offer is None:
        raise call.bad_request("service: there is no such service")
    if not isinstance(inputs, dict):
        raise call.bad_request("inputs: an object of lists of texts is needed")
    label = document.get("label")
    wanted = Config(
        id=0,
        owner=call.user,
        offer=offer,
        inputs={str(name): texts_of(call, each) for name, each in inputs.items()},
        label=label if isinstance(label, str) else None,
        parent=call.referred(call.store.jobs, document.get("parent")),
        parallel=tuple(texts_of(call, document.get("parallelParameters") or [])),
    )
    if count_parts(wanted) > MOST_PARTS:
        raise call.bad_request(f"a job has {MOST_PARTS} sub-jobs at most")
    config = find_equal(call, wanted)
    location = f"{call.writer.base}/jobConfigs/{config.id}"
    return call.answer(call.writer.config(config), 201, location)


def texts_of(call: Call, values: Any) -> list[str]:
    """Return a list of strings; equal ones collapse."""
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise call.bad_request("the values of an input are a list of texts")
    return list(dict.fromkeys(values))


def find_equal(call: Call, wanted: Config) -> Config:
    """Return the stored configuration that is equal, or store this one."""

    known = call.store.equal_config(wanted)
    if known is not None:
        known.label = wanted.label
        return known
    wanted.id = call.store.next_id("jobConfigs")
    call.store.add_config(wanted)
    return wanted


# --- launch ------------------------------------------------------------------


def launch(call: Call) -> Response:
    """Start a job, or a parent with a job for each of the values to be split."""
    config = call.entity(call.store.configs)
    job = new_job(call, config)
    if config.offer.parallel_key or config.parallel:
        job.is_parent = True
        for inputs in split(config):
            start(call, new_job(call, part_of(call, job, inputs)))
        if not job.parts:
            job.parent_word, job.problem = "ERROR", "Missing parallel inputs"
    else:
        start(call, job)
    return call.answer(call.writer.launched(job), 202)


def part_of(call: Call, parent: Job, inputs: dict[str, list[str]]) -> Config:
    """Store the configuration of a sub-job."""
    part = Config(
        id=call.store.next_id("jobConfigs"),
        owner=parent.config.owner,
        offer=parent.config.offer,
        inputs=inputs,
        label=parent.config.label,
        parent=parent,
    )
    call.store.add_config(part)
    return part


def split(config: Config) -> Iterator[dict[str, list[str]]]:
    """Yield the inputs of every job that a configuration means."""
    key = config.offer.parallel_key
    names = split_names(config)
    choices = [config.inputs.get(name, []) for name in names]
    for values in itertools.product(*choices):
        inputs = {n: each for n, each in config.inputs.items() if n not in names}
        for name, value in zip(names, values, strict=True):
            renamed = name == key and config.offer.about.parallel_input is None
            inputs[SINGLE_INPUT if renamed else name] = [value]
        yield inputs


def split_names(config: Config) -> list[str]:
    """Return the inputs that are split."""
    key = config.offer.parallel_key
    return [*config.parallel, *([key] if key is not None else [])]


def count_parts(config: Config) -> int:
    """Count the jobs that a configuration means."""
    return math.prod(len(config.inputs.get(n, [])) for n in split_names(config))


def new_job(call: Call, config: Config) -> Job:
    """Make a job that does not run yet."""
    job = Job(
        id=call.store.next_id("jobs"),
        ext_id=call.store.new_id(),
        config=config,
        created=call.now,
        updated=call.now,
    )
    call.store.jobs[job.id] = job
    if config.parent is not None:
        config.parent.parts.append(job)
    return job


def start(call: Call, job: Job) -> None:
    """Charge for a job and queue it; what is wrong with it shows as an error."""
    offer, owner = job.config.offer, job.config.owner
    problems = list(offer.problems(job.config.inputs))
    if owner.credits < offer.about.cost:
        problems.append("Estimated cost exceeds current wallet balance")
    call.store.open[job.id] = job
    job.updated = call.now
    job.problem = "; ".join(problems)
    if problems:
        job.task = None
        return
    owner.credits -= offer.about.cost
    job.order = Order(
        service=offer.name,
        realm=owner.realm,
        payload=codec.dumps(offer.arguments(job.config.inputs)),
        content_type="application/json",
    )
    job.task = call.store.simulator.submit(job.order, call.now)


# --- ending and beginning again ----------------------------------------------


def with_parts(job: Job) -> Sequence[Job]:
    """Return a job; of a parent, its sub-jobs."""
    return tuple(job.parts) if job.is_parent else (job,)


def cancel(call: Call) -> Response:
    """Take out of the queue what has not started; say yes to anything."""
    for job in with_parts(call.entity(call.store.jobs)):
        if job.task is not None and job.task.state in {State.QUEUED, State.ASSIGNED}:
            call.store.simulator.interrupt(job.task, Interrupt.EXECUTION, call.now)
            job.config.owner.credits += job.config.offer.about.cost
            job.updated = call.now
    return Response(200)


def terminate(call: Call) -> Response:
    """Tell a running job to stop."""
    job = call.entity(call.store.jobs)
    if job.task is not None and job.word == "RUNNING":
        call.store.simulator.interrupt(job.task, Interrupt.EXECUTION, call.now)
    return Response(204)


def relaunch_failed(call: Call) -> Response:
    """Run what is in error again, under its id."""
    for job in with_parts(call.entity(call.store.jobs)):
        if job.word == "ERROR":
            start(call, job)
    return Response(200)


def logs(call: Call) -> Response:
    """Answer with the log of a job."""
    job = call.entity(call.store.jobs)
    lines = [] if job.task is None else list(job.task.log)
    outcome = None if job.task is None else job.task.outcome
    if outcome is not None and outcome.message and job.task is not None:
        lines.append((job.task.ended_at or call.now, outcome.message))
    if job.problem:
        lines.append((job.created, job.problem))
    said = [{"timestamp": write_zulu(at), "message": line} for at, line in lines]
    return call.plain(said)


# --- costs -------------------------------------------------------------------


def estimate(call: Call) -> Response:
    """Tell what a launch would cost: 402 where the wallet does not have it."""
    config = call.store.configs.get(int(call.parts[2]))
    if config is None:
        raise Refused(404)
    cost, balance = price(config), call.user.credits
    said = {"estimatedCost": cost, "recurrence": "ONE_OFF"}
    document = {**said, "currentWalletBalance": balance}
    return call.plain(document, 200 if cost <= balance else 402)


def price(config: Config) -> float:
    """Return what all jobs of a configuration cost together."""
    return config.offer.about.cost * count_parts(config)
