"""A connection to a Ray cluster: one of its own on this machine, or an existing one."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from model.errors import InputError, MissingExtraError
from serve.score.inputs import reason

_OBJECTS = 128 << 20  # bytes of Ray's object store: only numbers and counts pass through it
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray reports its use over the network unless told not to
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # ours tells more
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # of this process; its logs are on disk as ever
}


@dataclass(frozen=True)
class Cluster:
    """``workers`` processes, each with ``threads`` cores, fit on ``machines`` machines."""

    workers: int
    threads: int
    machines: int


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[Cluster]:
    """Connect for the length of the block.

    Args:
        address: of an existing cluster (``auto``, ``host:port``, ``ray://host:port``); ``None`` for one on
            this machine alone, which ends with the block.
        workers: processes to score in; ``None`` for one a core.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: no cluster answers, or it has no cores.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if address is None:  # Ray listens on all addresses, and would obey whoever reaches it without this secret
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # Ray keeps the first it sees in a process
    try:
        import ray
        import ray.data  # sets up its own logging
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            cores = max(os.cpu_count() or 1, workers or 1)
            ray.init(
                address="local", num_cpus=cores, include_dashboard=False, object_store_memory=_OBJECTS, **quiet
            )  # fmt: skip
        else:
            _reach(address)
            ray.init(address=address, **quiet)
    except Exception as error:  # Ray raises bare ones
        raise InputError(
            f"{'no Ray cluster answers' if address else 'Ray does not start here'}: {reason(error)}",
            where=f"--ray-address {address}" if address else "--engine ray",
            remedy="see `ray status` on its head machine" if address else "see the logs in /tmp/ray/session_latest",
        ) from error
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield _shape([int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]], workers)
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Knock at ``host:port`` first: Ray itself tries for minutes. Raises OSError where nothing listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=20).close()


def _shape(cores: list[int], wanted: int | None) -> Cluster:
    """How many workers with how many cores each fit on machines with ``cores``."""
    machines = sorted(count for count in cores if count)
    if not machines:
        raise InputError("the cluster has no cores to score on", where="ray", remedy="start workers with --num-cpus")
    workers = wanted or sum(machines)
    threads = max(machines)  # as many cores a worker as leave room for all
    while threads > 1 and sum(count // threads for count in machines) < workers:
        threads -= 1
    return Cluster(workers, threads, len(machines))
