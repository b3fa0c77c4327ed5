"""Training on several processors: ``torchrun`` (or ``accelerate launch``) starts one process each.

Every process computes its share of each batch, and the gradients are summed before the step, so that a step is the
same as one process would make. The first process alone validates, saves and writes; the others are told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn

_PATIENCE = timedelta(hours=12)  # while the first process calibrates and writes
T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process' place among ``count``."""

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls) -> Processes:
        """Meet the processes the launcher started (it sets ``WORLD_SIZE`` and the like); alone without one."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count < 2:
            return cls()
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        if not distributed.is_initialized():
            backend = "nccl" if torch.cuda.is_available() else "gloo"
            distributed.init_process_group(backend, timeout=_PATIENCE)
        return cls(distributed.get_rank(), count)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, batch: Sequence[T]) -> list[T]:
        """This process' part of a batch, whose items stand in the same order everywhere; may be empty."""
        return list(batch[self.rank :: self.count])

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all processes' gradients."""
        if self.count < 2:
            return
        trained = list(parameters)
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in trained])
        distributed.all_reduce(flat)
        for parameter, part in zip(trained, flat.split([p.numel() for p in trained]), strict=True):
            parameter.grad = part.view_as(parameter).clone()

    def told(self, work: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What ``work`` gives in the first process, told to all: figures must not differ by a rounding."""
        if self.count < 2:
            return work()
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        text = json.dumps(work()).encode() if self.first else b""
        length = torch.tensor([len(text)], device=device)
        distributed.broadcast(length, 0)
        body = torch.zeros(int(length), dtype=torch.uint8, device=device)
        if self.first:
            body.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        distributed.broadcast(body, 0)
        figures: dict[str, float] = json.loads(bytes(body.cpu().tolist()))
        return figures

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()

    def leave(self) -> None:
        """Part from the others; safe when one of them is gone."""
        if self.count > 1:
            with suppress(RuntimeError):
                distributed.destroy_process_group()


ALONE = Processes()
