"""Find the encoder a model is built on: bundled, from the hub, or from a local folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model import bundled
from model.cache import build_once
from model.errors import BackboneError, MissingExtraError

_FILES = ("config.json", "tokenizer.json")


def resolve_backbone(spec: str) -> Path:
    """A local Transformers folder (config, safetensors, tokenizer.json) for a backbone spec.

    Args:
        spec: ``bundled``; ``hub:NAME@REVISION`` (downloads on first use); or ``path:DIR``.

    Raises:
        BackboneError: the spec is malformed or the encoder cannot be had.
        CacheError: the cache cannot be written.
    """
    if spec == "bundled":
        name = f"encoders/multilingual-e5-small-{bundled.SHA256[:12]}"
        return build_once(name, bundled.convert, "the bundled encoder")
    kind, _, rest = spec.partition(":")
    if kind == "path" and rest:
        return _check_folder(Path(rest).expanduser(), spec)
    if kind == "hub" and "@" in rest:
        name, _, revision = rest.partition("@")
        return _check_folder(_from_hub(name, revision), spec)
    raise BackboneError(f"unknown backbone {spec!r}", remedy="use bundled, hub:NAME@REVISION or path:DIR")


def resolve_tokenizer(spec: str) -> Path:
    """A folder with the backbone's ``tokenizer.json``; for ``bundled`` without converting the weights."""
    if spec == "bundled":
        name = f"tokenizers/multilingual-e5-small-{bundled.SHA256[:12]}"
        return build_once(name, bundled.convert_tokenizer, "the bundled tokenizer")
    return resolve_backbone(spec)


def encoder_weights(spec: str) -> dict[str, NDArray[np.float32]]:
    """The encoder's tensors by their names in ``transformers``, float32, read without torch."""
    if spec == "bundled":
        return bundled.WeightFile(bundled.weight_file()).state_dict()
    from safetensors import safe_open

    tensors: dict[str, NDArray[np.float32]] = {}
    for file in sorted(resolve_backbone(spec).glob("*.safetensors")):
        with safe_open(file, "np") as opened:
            tensors |= {key: opened.get_tensor(key).astype(np.float32) for key in opened.keys()}  # noqa: SIM118
    prefix = next((p for p in ("bert.", "roberta.") if any(k.startswith(p) for k in tensors)), "")
    return {key.removeprefix(prefix): value for key, value in tensors.items()}


def _check_folder(folder: Path, spec: str) -> Path:
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if not missing and not any(folder.glob("*.safetensors")):
        missing = ["model.safetensors"]
    if missing:
        raise BackboneError(
            f"backbone {spec!r} lacks {', '.join(missing)}", where=folder,
            remedy="give a Transformers encoder saved with safetensors and a fast tokenizer",
        )  # fmt: skip
    return folder


def _from_hub(name: str, revision: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "train") from error
    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=["*.json", "*.safetensors", "*.model"])
    except Exception as error:  # huggingface_hub raises many kinds; all mean the same to a user
        raise BackboneError(
            f"cannot fetch {name} at revision {revision} from the hub ({type(error).__name__})",
            remedy="check name, revision and network, or use backbone: bundled",
        ) from error
    return Path(folder)


def backbone_digest(folder: Path) -> str:
    """SHA-256 over the encoder's weights and tokenizer: ties an artifact to its encoder."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), folder / "tokenizer.json"]):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
