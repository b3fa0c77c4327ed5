"""``--engine ray``: the same scoring on all machines of a Ray cluster, shard by shard."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

from model.artifact import Artifact
from model.errors import ThemewatchError
from serve.score.files import write_whole, writing
from serve.score.progress import Meter
from serve.score.ray_cluster import Cluster, connected
from serve.score.ray_worker import Gauge, Job, ShardScorer
from serve.score.report import html_report
from serve.score.settings import Settings
from serve.score.shards import Plan, Shard, check_kinds, everywhere, plan_shards
from serve.score.store import Store
from serve.score.summary import Counts, Summary

_ROUNDS = 3  # times that shards are handed out which no worker answered for
_BLOCKS = 4  # pieces of the list of shards a worker; Ray hands these out
_MOST_BLOCKS = 4000
_LOOK = 1.0  # seconds between two looks at the progress


@dataclass(frozen=True)
class RayRun:
    """One run of ``themewatch score --engine ray``.

    ``shard`` is the most rows of an output file; ``address`` and ``workers`` as in ``connected``.
    """

    settings: Settings
    artifact: Artifact
    store: Store
    console: Console
    shard: int
    address: str | None = None
    workers: int | None = None
    report: Path | None = None

    def __call__(self) -> Summary:
        """Score all shards that are not finished, and write what is written once at the end.

        Raises:
            InputError: an input cannot be read, or is not what the unfinished run read.
            ThemewatchError: the output cannot be written, or the cluster gave up.
        """
        settings = self.settings
        check_kinds(settings.inputs)
        layout = settings.layout(self.artifact)
        plan = plan_shards(settings.inputs, settings.columns, self.shard)
        facts = settings.facts(self.artifact, settings.choice.engine)
        facts["options"]["shard"] = self.shard
        meter = Meter(self.console, plan.size)
        with self.store.begin(facts, settings.resume), connected(self.address, self.workers) as cluster:
            if self.address:
                told = f"themewatch: {cluster.workers} workers on {cluster.machines} machines"
                self.console.print(told, markup=False, soft_wrap=True)
            meter.begin()
            with meter, _gauge(meter) as gauge:
                job = Job(
                    tuple(map(everywhere, settings.inputs)), settings.columns, plan.schema,
                    replace(settings.choice, folder=_absolute(settings.choice.folder)), layout, self.store,
                    settings.chunk, cluster.threads, self.artifact.digest, metadata.version("themewatch"), gauge,
                )  # fmt: skip
                receipts = self._all_receipts(plan, job, cluster, meter)
            return self._finish(receipts, meter)

    def _all_receipts(self, plan: Plan, job: Job, cluster: Cluster, meter: Meter) -> list[dict[str, Any]]:
        """The receipt of each shard, in order. Several rounds, should Ray lose one on the way."""
        found: dict[int, dict[str, Any]] = {}
        done = 0
        for _ in range(_ROUNDS):
            missing = [shard for shard in plan.shards if shard.number not in found]
            for receipt in _receipts(missing, job, cluster) if missing else ():
                if "error" in receipt:
                    raise ThemewatchError(receipt["error"])
                number = int(receipt["number"])
                done += plan.shards[number].size if number not in found else 0
                found[number] = receipt
                meter.reach(done)
        if len(found) < len(plan.shards):
            lost = len(plan.shards) - len(found)
            raise ThemewatchError(f"no worker answered for {lost} shards", remedy="run the same with --resume")
        return [found[number] for number in range(len(plan.shards))]

    def _finish(self, receipts: list[dict[str, Any]], meter: Meter) -> Summary:
        counts = Counts()
        for receipt in receipts:
            counts.merge(Counts.from_dict(receipt["counts"]))
        engines = sorted({receipt["engine"] for receipt in receipts})
        if len(engines) > 1:
            self.console.print(
                f"themewatch: workers used different engines ({', '.join(engines)}), whose scores differ slightly; "
                "--model-engine takes one for all", markup=False, soft_wrap=True,
            )  # fmt: skip
        summary = self.settings.summary(self.artifact, counts, self.store.rejects, meter)
        if summary.rejected:
            with self.store.writing_rejects() as file:
                for receipt in receipts:
                    if receipt["rejected"]:
                        lines = self.store.rejected(receipt["number"])
                        file.write("".join(f"{line}\n" for line in lines).encode("utf-8"))
        if self.report:
            with writing(self.report):
                write_whole(self.report, html_report(summary).encode("utf-8", "backslashreplace"))
        self.store.finish(counts.to_dict())
        return summary


def _receipts(shards: list[Shard], job: Job, cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Score shards through Ray Data; receipts come as they are done."""
    import ray
    from ray.data import ActorPoolStrategy

    items = [{"number": s.number, "file": s.file, "first": s.first, "stop": s.stop} for s in shards]
    blocks = min(len(items), max(_MOST_BLOCKS, _BLOCKS * cluster.workers))
    most = min(cluster.workers, len(items))
    scored = ray.data.from_items(items, override_num_blocks=blocks).map_batches(
        ShardScorer, batch_size=1, batch_format="numpy", num_cpus=cluster.threads, fn_constructor_args=[job],
        compute=ActorPoolStrategy(min_size=1, max_size=most, initial_size=most, max_tasks_in_flight_per_actor=2),
    )  # fmt: skip
    try:
        for row in scored.iter_rows():
            yield json.loads(row["receipt"])
    except ray.exceptions.RayError as error:
        # no more than its kind: the message may quote what was being worked on
        raise ThemewatchError(
            f"the cluster gave up ({type(error).__name__})", where="ray",
            remedy="see its logs; the same command with --resume goes on",
        ) from error  # fmt: skip


@contextmanager
def _gauge(meter: Meter) -> Iterator[Any]:
    """An actor beside this process that the workers tell how far they are; the meter shows it."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    gauge = ray.remote(Gauge).options(num_cpus=0, scheduling_strategy=here).remote()
    done = threading.Event()

    def look() -> None:
        with suppress(ray.exceptions.RayError):  # the bar then stands still: nothing else depends on it
            meter.tick(*ray.get(gauge.take.remote(), timeout=10))

    def follow() -> None:
        while not done.wait(_LOOK):
            look()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield gauge
    finally:
        done.set()
        thread.join()
        look()


def _absolute(folder: str | None) -> str | None:
    return os.path.abspath(folder) if folder else None
