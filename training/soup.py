"""Weights between weights: several runs averaged, and an adapter drawn back towards the encoder as it came.

Model soups: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time" (ICML 2022). The runs begin with the same weights and see the articles in other orders and
with other augmentation; the mean of their weights is served where it validates at least as well as the best of them.

Drawing back: Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022), who interpolate between the
weights before and after training; for LoRA that is its product, scaled.
Blending does the same with the weights of a model that training started from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from model.cache import progress

Weights = Mapping[str, Tensor]
BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the way from the weights before training to those after it


def copied(parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The weights as they are now."""
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}


@torch.no_grad()
def put(parameters: Mapping[str, nn.Parameter], weights: Weights) -> None:
    """Set the weights."""
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])


def mean(runs: Sequence[Weights]) -> dict[str, Tensor]:
    """The runs' average, weight by weight."""
    return {name: torch.stack([weights[name] for weights in runs]).mean(0) for name in runs[0]}


@torch.no_grad()
def draw_back(parameters: Mapping[str, nn.Parameter], share: float) -> None:
    """Leave ``share`` of what a LoRA adapter adds to the encoder; the head stays as it is."""
    for name, parameter in parameters.items():
        if ".lora_B." in name:
            parameter.mul_(share)


def blended(before: Weights, after: Weights, share: float) -> dict[str, Tensor]:
    """The weights ``share`` of the way from those ``before`` training to those ``after`` it."""
    return {name: torch.lerp(before[name], weight, share) for name, weight in after.items()}


def settle_blend(
    parameters: Mapping[str, nn.Parameter], before: Weights, loss: Callable[[], float]
) -> dict[str, float]:
    """Put the mixture of the weights ``before`` training and now into the network that ``loss`` is lowest of.

    Args:
        loss: on validation articles, of the network as it is now.

    Returns:
        The loss of each mixture, the one served first.
    """
    after, losses = copied(parameters), dict[float, float]()
    for share in BLENDS:
        put(parameters, blended(before, after, share))
        losses[share] = loss()
    ranked = sorted(BLENDS, key=lambda share: losses[share])
    put(parameters, blended(before, after, ranked[0]))
    told = ", ".join(f"{losses[share]:.4f} at {share:g}" for share in BLENDS)
    progress(f"validation log loss on the way from the starting model: {told}; {ranked[0]:g} is served")
    return {f"blend {share:g}": losses[share] for share in ranked}


def serve_best(
    parameters: Mapping[str, nn.Parameter], runs: Sequence[Weights], validate: Callable[[], float]
) -> dict[str, float]:
    """Put the average of ``runs``, or the best of them, into the network.

    Args:
        parameters: the network's trained parameters.
        runs: each run's weights, by the same names.
        validate: macro-F1 on validation data of the network as it is now.

    Returns:
        The macro-F1 of each run and of the average.
    """
    figures: dict[str, float] = {}
    candidates = [*runs, mean(runs)]
    for number, weights in enumerate(candidates, 1):
        put(parameters, weights)
        figures["average" if number > len(runs) else f"run {number}"] = validate()
    best = max(range(len(candidates)), key=lambda i: (list(figures.values())[i], i))
    put(parameters, candidates[best])
    told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
    progress(f"validation macro-F1: {told}; {list(figures)[best]} is served")
    return figures
