"""Training a head on features of a frozen encoder: the fast of the two ways to train.

A fresh theme starts from logistic regression on the articles' mean token vectors, which is a head with even
attention; gradient steps on all tokens go on from there. Inside, tokens are centred and scaled; the result is folded
back, exactly, since attention shares sum to one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.pooling import contributions, head_width
from model.windows import Encoded
from training.config import Optimizer
from training.features import FeatureStore, mean_vectors

_SAMPLE = 400  # articles by which token vectors are scaled


@dataclass(frozen=True)
class Head:
    """A head's ``weight`` ``[width, hidden]`` and ``bias`` ``[themes]``, float32; see ``model.pooling``."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Examples:
    """Articles to learn from.

    Attributes:
        truth: bool ``[articles, themes]``, the labels; mask: bool, which of them are labelled at all.
        beside: float32 ``[articles, themes]``, logits that are added to the head's: those of a linear part.
    """

    encoded: Sequence[Encoded]
    truth: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    beside: NDArray[np.float32]

    def take(self, rows: Sequence[int]) -> Examples:
        at = list(rows)
        return Examples([self.encoded[i] for i in at], self.truth[at], self.mask[at], self.beside[at])


@dataclass(frozen=True)
class HeadTask:
    """What stays the same from fold to fold.

    Attributes:
        fresh: themes whose rows start anew; kept: themes whose rows stay as they are (indices).
        lead: tokens before each window's content.
    """

    store: FeatureStore
    pooling: str
    optimizer: Optimizer
    dropout: float
    seed: int
    lead: int
    fresh: tuple[int, ...]
    kept: tuple[int, ...] = ()


class _Scaled(nn.Module):
    """The head in centred and scaled coordinates."""

    def __init__(self, head: Head, mean: Tensor, scale: Tensor, dropout: float) -> None:
        super().__init__()
        self.mean, self.scale = mean, scale  # [hidden], [width, hidden]
        self.themes = len(head.bias)
        self.free = nn.Parameter(head.weight / scale)
        self.bias = nn.Parameter(head.bias + head.weight[: self.themes] @ mean)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[tokens, hidden]`` to ``[tokens, width]``; dropout takes whole features, since tokens are averaged."""
        weight = self.free * self.scale * self.dropout(torch.ones_like(self.mean))
        return nn.functional.linear(tokens, weight, -(weight @ self.mean))

    def fold(self) -> Head:
        weight = (self.free * self.scale).detach()
        return Head(weight.clone(), (self.bias - weight[: self.themes] @ self.mean).detach().clone())


def fit_head(
    task: HeadTask, start: Head, examples: Examples, validate: Callable[[Head], float] | None = None
) -> tuple[Head, list[dict[str, float]]]:
    """Train on ``examples``; the best epoch by ``validate`` (without it the last), and the history."""
    means = mean_vectors(task.store, examples.encoded, task.lead)
    begun = _begin(task, start, examples, means)
    if len(task.kept) == len(start.bias):
        return start, []
    model = _Scaled(begun, *_scales(task, examples, means, head_width(task.pooling, len(start.bias))), task.dropout)
    settings, count = task.optimizer, len(examples.encoded)
    rate, decay = settings.head_learning_rate, settings.weight_decay
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    total, step = settings.epochs * math.ceil(count / settings.batch), 0
    truth = torch.from_numpy(examples.truth).float()
    mask = torch.from_numpy(examples.mask).float()
    beside = torch.from_numpy(examples.beside)
    weight = _class_weights(examples, settings.class_weight)
    best, best_at, chosen = -1.0, 0, begun
    history: list[dict[str, float]] = []
    if validate and len(task.fresh) == len(start.bias):  # logistic regression alone may be best
        best = validate(begun)
    torch.manual_seed(task.seed)
    for epoch in range(settings.stop or settings.epochs):
        order, losses = list(range(count)), []
        random.Random(f"{task.seed}:{epoch}").shuffle(order)
        model.train()
        for first in range(0, count, settings.batch):
            rows = order[first : first + settings.batch]
            for group in optimizer.param_groups:
                group["lr"] = rate * (0.05 + 0.475 * (1 + math.cos(math.pi * step / total)))
            logits = torch.stack([_logits(task, model, examples.encoded[i]) for i in rows]) + model.bias
            logits = logits + beside[rows]
            loss = nn.functional.binary_cross_entropy_with_logits(
                logits, truth[rows], pos_weight=weight, reduction="none"
            )
            mean = (loss * mask[rows]).sum() / mask[rows].sum().clamp(min=1)
            mean.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(mean.detach()))
            step += 1
        model.eval()
        now = _keep(task, model.fold(), start)
        history.append({"epoch": epoch + 1, "loss": float(np.mean(losses))})
        if validate:
            history[-1]["macro_f1"] = validate(now)
            if history[-1]["macro_f1"] <= best:
                if epoch - best_at >= settings.patience:
                    break
                continue
            best, best_at = history[-1]["macro_f1"], epoch
        chosen = now
    return chosen, history


def mixed(before: Head, after: Head, share: float, fresh: Sequence[int] = ()) -> Head:
    """The head ``share`` of the way from one to the other; ``fresh`` themes' rows are those ``after``."""
    themes = len(before.bias)
    weight, bias = torch.lerp(before.weight, after.weight, share), torch.lerp(before.bias, after.bias, share)
    for k in fresh:
        weight[k::themes], bias[k] = after.weight[k::themes], after.bias[k]
    return Head(weight, bias)


def _logits(task: HeadTask, model: _Scaled, item: Encoded) -> Tensor:
    """One article's logits ``[themes]``, bias not included."""
    scores = model(task.store.content(item.windows, item.spans, task.lead))
    weights = torch.from_numpy(np.ascontiguousarray(item.weights))
    parts: Tensor = contributions(torch, task.pooling, scores, weights, list(item.spans))
    return parts.sum(0)


def _begin(task: HeadTask, start: Head, examples: Examples, means: NDArray[np.float32]) -> Head:
    """``start`` with the fresh themes' rows set by logistic regression, their attention even."""
    from sklearn.linear_model import LogisticRegression

    weight, bias, themes = start.weight.clone(), start.bias.clone(), len(start.bias)
    center, spread = means.mean(0), means.std(0) + 1e-6
    for k in task.fresh:
        rows = examples.mask[:, k]
        truth = examples.truth[rows, k]
        weight[k::themes] = 0.0  # value and, where there is one, attention row
        if truth.all() or not truth.any():
            bias[k] = 2.0 if len(truth) and truth.all() else -2.0
            continue
        fitted = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
        fitted.fit((means[rows] - center) / spread, truth)
        row = fitted.coef_[0] / spread
        weight[k] = torch.from_numpy(row).float()
        bias[k] = float(fitted.intercept_[0] - row @ center)
    return Head(weight, bias)


def _scales(task: HeadTask, examples: Examples, means: NDArray[np.float32], width: int) -> tuple[Tensor, Tensor]:
    """Mean ``[hidden]``, and for each output 1 / spread: of articles for values, of tokens for attention."""
    themes = examples.truth.shape[1]
    spread = torch.from_numpy(means.std(0) + 1e-3)
    some = random.Random(task.seed).sample(range(len(means)), min(len(means), _SAMPLE))
    tokens = torch.cat(
        [task.store.content(e.windows, e.spans, task.lead)[::4] for e in (examples.encoded[i] for i in some)]
    )
    rows = [1 / spread] * themes + [1 / (tokens.std(0) + 1e-3)] * (width - themes)
    return torch.from_numpy(means.mean(0)), torch.stack(rows)


def _keep(task: HeadTask, head: Head, start: Head) -> Head:
    """``head`` with the kept themes' rows as at the start."""
    weight, bias, themes = head.weight.clone(), head.bias.clone(), len(head.bias)
    for k in task.kept:
        weight[k::themes], bias[k] = start.weight[k::themes], start.bias[k]
    return Head(weight, bias)


def _class_weights(examples: Examples, exponent: float) -> Tensor:
    """``(negatives / positives) ** exponent`` among the labelled, between 1 and 10."""
    positives = (examples.truth & examples.mask).sum(0)
    ratio = (examples.mask.sum(0) - positives) / np.maximum(positives, 1)
    return torch.from_numpy(np.clip(ratio**exponent, 1.0, 10.0)).float()
