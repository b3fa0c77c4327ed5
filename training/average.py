"""A running average of the weights: smoother than the last step's, at no cost in steps.

Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992), in the exponential form that
deep learning uses. Early steps count less long: the decay grows from nothing as ``(1 + step) / (10 + step)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The exponential moving average of ``parameters``; ``decay`` of it is kept at each step."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.weights: dict[str, Tensor] = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step ``step`` (counted from 1)."""
        keep = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self.parameters.items():
            self.weights[name].lerp_(parameter, 1 - keep)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The average in the network's place, for as long as the ``with`` lasts."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self.parameters.items():
            held = parameter.detach().clone()
            parameter.copy_(self.weights[name])
            self.weights[name] = held
