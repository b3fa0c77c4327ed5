"""The training run: one readable loop. Interrupt it at any step; the same command goes on from there."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from model.engines.base import batches
from model.engines.torch_engine import padded_tensors
from model.network import ThemeNetwork
from model.windows import Encoded, Windower
from training.average import Average
from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data import Item
from training.labels import label_mask
from training.noise import Augmenter
from training.packed import can_pack, pack, packed_scores, unpack
from training.processes import ALONE, Processes
from training.tracking import Log, NoLog

_SAVE_EVERY = 25  # steps
_TOKENS = 4096  # padded tokens a forward pass
_PART = 2048  # tokens a backward pass (or one longer article): more at once leaves the processor's caches


@dataclass
class Progressed:
    """Where a run stands; saved with every checkpoint."""

    step: int = 0
    best: float = -1.0
    best_epoch: int = -1
    history: list[dict[str, float]] | None = None


class Trainer:
    """Fits a network's trainable parameters; ``validate`` gives the macro-F1 that stops it early."""

    def __init__(
        self, config: TrainConfig, network: ThemeNetwork, windower: Windower, keys: tuple[str, ...],
        augment: Augmenter | None, validate: Callable[[], dict[str, float]], checkpoint: Checkpoint,
        processes: Processes = ALONE, log: Log | None = None,
    ) -> None:  # fmt: skip
        self.config, self.network, self.windower, self.keys = config, network, windower, keys
        self.augment, self.validate = augment, validate
        self.checkpoint, self.processes, self.log = checkpoint, processes, log or NoLog()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = precision(config.precision, self.device)
        self.packed = can_pack(network, self.device)
        self.network.to(self.device)  # type: ignore[arg-type]
        self.parameters = {n: p for n, p in network.named_parameters() if p.requires_grad}
        settings = config.optimizer
        head = [p for n, p in self.parameters.items() if not n.startswith("encoder.")]
        body = [p for n, p in self.parameters.items() if n.startswith("encoder.")]
        groups = [
            {"params": body, "lr": settings.learning_rate},
            {"params": head, "lr": settings.head_learning_rate},
        ]
        self.optimizer = torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=settings.weight_decay)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.average = Average(self.parameters, settings.average) if settings.average else None
        self.at = Progressed(history=[])

    def fit(self, items: list[Item]) -> list[dict[str, float]]:
        """Train on ``items``; leaves the best epoch's weights in the network, returns the history."""
        settings = self.config.optimizer
        steps_per_epoch = math.ceil(len(items) / settings.batch)
        total = steps_per_epoch * settings.epochs
        weight = class_weights(items, self.keys, settings.class_weight).to(self.device)
        self._resume()
        assert self.at.history is not None
        if self.packed:
            pack(self.network)
        with _progress(self.processes.first) as bar:
            task = bar.add_task("training", total=total, completed=self.at.step)
            for epoch in range(self.at.step // steps_per_epoch, settings.stop or settings.epochs):
                if epoch > self.at.best_epoch + settings.patience and self.at.best >= 0:
                    break
                losses = []
                for number, batch in enumerate(self._batches(items, epoch)):
                    if epoch * steps_per_epoch + number < self.at.step:
                        continue  # done before an interruption
                    self._schedule(self.at.step / total)
                    losses.append(self._step(batch, epoch, weight) * self.processes.count)  # of one share: an estimate
                    self.at.step += 1
                    self.log.scalar("training/loss", losses[-1], self.at.step)
                    bar.update(
                        task,
                        completed=self.at.step,
                        description=f"epoch {epoch + 1} loss {np.mean(losses[-20:]):.3f}",
                    )
                    if self.at.step % _SAVE_EVERY == 0:
                        self._save("last")
                figures = self._keep_if_best(epoch)
                self.at.history.append({"epoch": epoch + 1, "loss": float(np.mean(losses or [0.0])), **figures})
                self._save("last")
                for name, value in figures.items():
                    self.log.scalar(f"validation/{name}", value, self.at.step)
                shown = ", ".join(f"{name} {value:.3f}" for name, value in self.at.history[-1].items())
                if self.processes.first:
                    bar.console.print(f"themewatch: {shown}")
        self.processes.wait()  # for the first one to have written it
        self.checkpoint.restore("best", self.parameters)
        if self.packed:
            unpack(self.network)
        return self.at.history

    def _keep_if_best(self, epoch: int) -> dict[str, float]:
        """Validate the weights, and their average where one is kept; save the best so far of them all."""
        figures: dict[str, float] = {}
        for name, weights in [("", nullcontext()), ("average_", self.average.applied() if self.average else None)]:
            if weights is None:
                continue
            with weights:
                found = self.processes.told(self._validated)
                if found["macro_f1"] > self.at.best:
                    self.at.best, self.at.best_epoch = found["macro_f1"], epoch
                    self._save("best")
            figures |= {f"{name}{key}": value for key, value in found.items()}
        return figures

    def _validated(self) -> dict[str, float]:
        """Validation figures, by the network as it will be served."""
        if not self.packed:
            return self.validate()
        unpack(self.network)
        figures = self.validate()
        pack(self.network)
        return figures

    def _batches(self, items: list[Item], epoch: int) -> Iterator[list[Item]]:
        """Batches of similar lengths in random order: little padding, no order effect."""
        rng = random.Random(f"{self.config.seed}:{epoch}")
        size = self.config.optimizer.batch
        order = sorted(items, key=lambda i: (len(i.text.encode()) * rng.uniform(0.8, 1.25), i.id))
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        rng.shuffle(batches)
        return iter(batches)

    def _encode(self, item: Item, epoch: int) -> Encoded:
        article = item.article
        if self.augment:
            croppable = item.extra.get("length_class") != "very_long"
            article = self.augment(article, item.lang, bool(item.themes), epoch, croppable)
        return self.windower.encode(article, item.lang)

    def _step(self, batch: list[Item], epoch: int, weight: Tensor) -> float:
        self.network.train()
        torch.manual_seed(self.config.seed * 1_000_003 + self.at.step + 7919 * self.processes.rank)
        encoded = [(self._encode(item, epoch), item) for item in self.processes.share(batch)]
        total = 0.0
        for part in chunks(encoded):
            loss = self._loss(part, weight) * (len(part) / len(batch))
            loss.backward()
            total += float(loss.detach())
        self.processes.sum_gradients(self.parameters.values())
        nn.utils.clip_grad_norm_(list(self.parameters.values()), self.config.optimizer.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update(self.at.step + 1)
        return total

    def _loss(self, part: list[tuple[Encoded, Item]], weight: Tensor) -> Tensor:
        """Weighted binary cross-entropy, mean over articles and themes."""
        smooth = self.config.optimizer.label_smoothing
        truth = torch.tensor([[float(k in i.themes) for k in self.keys] for _, i in part])  # [articles, themes]
        truth = (truth * (1 - 2 * smooth) + smooth).to(self.device)
        with torch.autocast(self.device, dtype=self.dtype or torch.bfloat16, enabled=self.dtype is not None):
            logits = article_logits(self.network, [e for e, _ in part], self.windower.lead, self.device, self.packed)
        return nn.functional.binary_cross_entropy_with_logits(logits.float(), truth, pos_weight=weight)

    def _schedule(self, done: float) -> None:
        """Linear warm-up, then cosine decay to a tenth; ``done`` is the share of steps taken."""
        warm = self.config.optimizer.warmup
        after = (done - warm) / max(1 - warm, 1e-9)
        factor = (done + 1e-3) / warm if done < warm else 0.1 + 0.45 * (1 + math.cos(math.pi * after))
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * min(factor, 1.0)

    def _resume(self) -> None:
        """Go on from a checkpoint of the same configuration and data, where there is one."""
        state = self.checkpoint.resume()
        if state:
            self.checkpoint.restore("last", self.parameters, self.optimizer, self.average)
            self.at = Progressed(**{key: state[key] for key in vars(self.at)})

    def _save(self, which: str) -> None:
        if not self.processes.first:
            return
        self.checkpoint.save(which, vars(self.at), self.parameters, self.optimizer, self.average)


def chunks(batch: list[tuple[Encoded, Item]]) -> Iterator[list[tuple[Encoded, Item]]]:
    """Pieces of a batch of a bounded number of tokens, so that long articles fit in memory."""
    if not batch:
        return
    part: list[tuple[Encoded, Item]] = []
    for pair in sorted(batch, key=lambda p: (len(p[0].windows), p[1].id)):
        if part and sum(len(w) for e, _ in [*part, pair] for w in e.windows) > _PART:
            yield part
            part = []
        part.append(pair)
    yield part


def padded_scores(network: ThemeNetwork, windows: Sequence[Sequence[int]], device: str) -> list[Tensor]:
    """Head outputs ``[tokens, width]`` of each window, by padded batches of like lengths."""
    scores: list[Tensor] = [torch.empty(0)] * len(windows)
    for group in batches([len(window) for window in windows], _TOKENS):
        ids, mask = padded_tensors([windows[i] for i in group], device)
        for row, found in zip(group, network.token_scores(ids, mask), strict=True):
            scores[row] = found
    return scores


def article_logits(
    network: ThemeNetwork, encoded: list[Encoded], lead: int, device: str, packed: bool = False
) -> Tensor:
    """Logits ``[articles, themes]`` of articles of any length, all their windows scored together."""
    windows = [window for item in encoded for window in item.windows]
    scores = packed_scores(network, windows) if packed else padded_scores(network, windows, device)
    entries, weights, row = [], [], 0
    for item in encoded:
        parts = [scores[row + i][lead : lead + b - a] for i, (a, b) in enumerate(item.spans)]
        row += len(item.windows)
        entries.append(torch.cat(parts))  # [entries, width]
        weights.append(torch.from_numpy(np.ascontiguousarray(item.weights)).to(device))
    return network.pool(entries, weights, [list(item.spans) for item in encoded])


def class_weights(items: list[Item], keys: tuple[str, ...], exponent: float) -> Tensor:
    """``(negatives / positives) ** exponent`` by theme, between 1 and 10; what nobody judged is neither."""
    positives = torch.tensor([float(sum(key in i.themes for i in items)) for key in keys])
    judged = torch.from_numpy(label_mask(items, keys).sum(axis=0)).float()
    ratio = (judged - positives) / positives.clamp(min=1)
    return ratio.pow(exponent).clamp(1.0, 10.0)


def precision(wanted: str, device: str) -> torch.dtype | None:
    """bf16 where the hardware multiplies it natively (elsewhere it is slower), else fp32."""
    if wanted == "auto":
        native = torch.cuda.is_bf16_supported() if device == "cuda" else torch.cpu._is_avx512_bf16_supported()
        wanted = "bf16" if native else "fp32"
    return torch.bfloat16 if wanted == "bf16" else None


def _progress(shown: bool) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, disable=not shown)
