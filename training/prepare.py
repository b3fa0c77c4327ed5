"""What a training run works on: where it starts, its taxonomy, its data and their parts, and what is replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.artifact import Artifact
from model.backbone import backbone_digest, resolve_backbone
from model.cache import progress
from model.errors import ArtifactError, DataError
from model.layout import LAYOUT
from model.taxonomy import Taxonomy
from training.audit import audit
from training.config import BARE, CORPUS, Lora, TrainConfig, Windows
from training.data import Item, load_items
from training.labels import settle
from training.partition import LEAST, choose_folds, split_data
from training.replay import Replay, draw_replay, refuse_held_out, replay_share
from training.splits import Parts


@dataclass(frozen=True)
class Run:
    """What a run works on; ``parts`` are of the user's data (or the corpus), ``replay`` comes on top."""

    config: TrainConfig
    taxonomy: Taxonomy
    parts: Parts
    encoder: Path
    start: Artifact | None = None
    replay: Replay | None = None
    own_data: bool = False

    @property
    def train(self) -> list[Item]:
        """Everything that is trained on."""
        return [*self.parts.train, *(self.replay.parts.train if self.replay else ())]

    @property
    def validation(self) -> list[Item]:
        """Everything that chooses epoch, calibration and thresholds."""
        return [*self.parts.validation, *(self.replay.parts.validation if self.replay else ())]

    @property
    def fresh(self) -> tuple[int, ...]:
        """Themes (their indices) that the starting model does not know."""
        known = self.start.taxonomy.keys if self.start else ()
        return tuple(k for k, key in enumerate(self.taxonomy.keys) if key not in known)


def prepare(config: TrainConfig, data: list[Path] | None = None) -> Run:
    """Find the starting model and the encoder, read taxonomy and data, check, split, and draw the replay.

    Raises:
        DataError, ConfigError, BackboneError, ArtifactError: see there.
    """
    start = find_start(config)
    config = follow(config, start)
    taxonomy = join_taxonomies(Taxonomy.load(config.taxonomy), start)
    encoder = resolve_backbone(config.backbone)
    if start and backbone_digest(encoder) != start.backbone_sha256:
        raise ArtifactError(
            f"made for another encoder than {config.backbone} now gives", where=start.folder,
            remedy="use the encoder it was trained on, or start from the bare encoder",
        )  # fmt: skip
    paths = data or list(config.data)
    if data:  # the configuration's languages to test on are those of its own data
        config = config.model_copy(update={"split": config.split.model_copy(update={"unseen": ()})})
    known = start.taxonomy.keys if start else ()
    items = load_items(paths or [CORPUS], taxonomy.keys)
    if not paths:
        _enough(items, taxonomy.keys, known)
        config = config.model_copy(update={"split": choose_folds(items, taxonomy.keys, config), "replay": 0.0})
        return Run(config, taxonomy, split_data(items, config.split, config.seed), encoder, start)
    added = [key for key in taxonomy.keys if key not in known] if start else []
    items = settle(items, taxonomy.keys, added)
    share = replay_share(config, own_data=True)
    audit(items, taxonomy.keys, known, replayed=share > 0)
    if start and config.method == "lora" and not share:
        progress("warning: LoRA training on top of a model without replay may unlearn what these articles lack")
    split = choose_folds(items, taxonomy.keys, config)
    config = config.model_copy(update={"split": split, "replay": share})
    replay = None
    if share:
        replay = draw_replay(share, taxonomy.keys, start)
        refuse_held_out(items, replay)
    return Run(config, taxonomy, split_data(items, split, config.seed), encoder, start, replay, own_data=True)


def find_start(config: TrainConfig) -> Artifact | None:
    """The artifact that training starts from; None for the bare encoder.

    Raises:
        ArtifactError: it is damaged, foreign, or too new.
    """
    if config.start == BARE:
        return None
    return Artifact.load(config.start)


def follow(config: TrainConfig, start: Artifact | None) -> TrainConfig:
    """The configuration with what its starting model settles: encoder, pooling, windows, rank of the adapter."""
    if start is None:
        return config
    settled: dict[str, Any] = {
        "backbone": start.backbone, "pooling": start.pooling, "windows": Windows(**start.windows.to_dict())
    }  # fmt: skip
    if (start.folder / LAYOUT.adapter).is_dir():
        settled["lora"] = Lora(**{**start.training["config"]["lora"], "blend": config.lora.blend})
    told = [key for key in settled if key != "lora" or config.method == "lora"]  # a head has no adapter to shape
    changed = [key for key in told if getattr(config, key) != settled[key]]
    if changed:
        progress(f"{', '.join(changed)} as in {start.name} {start.version}, which training starts from")
    return config.model_copy(update=settled)


def join_taxonomies(given: Taxonomy, start: Artifact | None) -> Taxonomy:
    """The starting model's themes in their order, worded as ``given`` where it has them, then the new ones."""
    if start is None:
        return given
    own = {theme.key: theme for theme in given.themes}
    old = tuple(own.pop(theme.key, theme) for theme in start.taxonomy.themes)
    return Taxonomy(given.version, (*old, *own.values()))


def _enough(items: Sequence[Item], keys: Sequence[str], known: Sequence[str]) -> None:
    for key in keys:
        found = sum(key in item.themes for item in items)
        if found < LEAST and (found or key not in known):
            raise DataError(
                f"theme {key!r} has {found} articles, and training needs at least {LEAST}",
                remedy="label more of them, or take the theme out of the taxonomy",
            )
