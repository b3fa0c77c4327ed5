"""Checkpoints of a training run: safetensors and JSON, replaced atomically, no pickles."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from training.average import Average


class Checkpoint:
    """The folder of one run; ``identity`` ties it to configuration and data."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder, self.identity = folder, identity

    def resume(self) -> dict[str, Any]:
        """The state of an interrupted run of the same identity, else an emptied folder and ``{}``."""
        state = self._state()
        if "file:last" not in state:
            self.remove()
            return {}
        return state

    def remove(self) -> None:
        """Delete the folder: the run is done, or the checkpoint is another run's."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def save(
        self, which: str, progress: Mapping[str, Any], parameters: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer, average: Average | None = None,
    ) -> None:  # fmt: skip
        """Write weights (and, for ``last``, the optimiser and the average); the JSON that names them goes last."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"w:{n}": p.detach().cpu().contiguous().clone() for n, p in parameters.items()}
        if which == "last":
            for name, parameter in parameters.items():
                for key, value in optimizer.state.get(parameter, {}).items():
                    tensors[f"o:{key}:{name}"] = torch.as_tensor(value).cpu().contiguous().clone()
            averaged = average.weights if average else {}
            tensors |= {f"a:{name}": value.cpu().clone() for name, value in averaged.items()}
        target = self.folder / f"{which}-{progress['step']}.safetensors"
        unfinished = self.folder / f"{which}.new"
        save_file(tensors, unfinished)
        unfinished.replace(target)
        known = self._state()
        text = json.dumps({**known, "identity": self.identity, **progress, f"file:{which}": target.name})
        temporary = self.folder / "state.json.new"
        temporary.write_text(text, "utf-8")
        temporary.replace(self.folder / "state.json")
        old = known.get(f"file:{which}")
        if old and old != target.name:
            (self.folder / old).unlink(missing_ok=True)

    def restore(
        self, which: str, parameters: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer | None = None, average: Average | None = None,
    ) -> None:  # fmt: skip
        """Put saved weights (and the state of optimiser and average, where given) back."""
        tensors = load_file(self.folder / self._state()[f"file:{which}"])
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(tensors[f"w:{name}"])
        if average is not None:
            average.weights = {name: tensors[f"a:{name}"].to(p.device) for name, p in parameters.items()}
        for key, value in tensors.items():
            kind, _, rest = key.partition(":")
            if kind == "o" and optimizer is not None:
                slot, _, name = rest.partition(":")
                parameter = parameters[name]
                value = value if slot == "step" else value.to(parameter.device)
                optimizer.state[parameter][slot] = value

    def _state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self.folder / "state.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return state if state.get("identity") == self.identity else {}
