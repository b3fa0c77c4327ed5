"""The training configuration: one YAML file, checked before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.artifact import RELEASED
from model.errors import ConfigError
from model.windows import WindowConfig

CORPUS = Path(__file__).parent / "corpus"
BARE = "encoder"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Windows(_Strict):
    """Sizes in tokens; see ``model.windows.WindowConfig``."""

    size: int = Field(512, ge=16)
    overlap: int = Field(64, ge=0)
    limit: int = Field(64, ge=1)
    prefix: str = "query: "

    def build(self) -> WindowConfig:
        return WindowConfig(**self.model_dump())


class Lora(_Strict):
    """Low-rank adaptation (Hu et al. 2021) of all linear layers of the encoder.

    With ``share`` below 1 only that share of what it learnt is served, which keeps more of what the encoder knew of
    other texts and languages (WiSE-FT, Wortsman et al. 2022). Where training starts from a model, ``blend`` below 1
    serves weights (head and adapter) that far on the way from that model's to the trained ones; not with new themes.
    ``auto`` serves, of five such mixtures, the one with the lowest log loss on validation articles.
    """

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    share: float = Field(1.0, gt=0, le=1)
    blend: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = 1.0


class Optimizer(_Strict):
    """AdamW with linear warm-up and cosine decay; one step sees ``batch`` articles.

    The decay is laid out over ``epochs``; ``stop`` ends the run earlier, when the rate is low already.
    """

    learning_rate: float = Field(5e-4, gt=0)
    head_learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    batch: int = Field(16, ge=1)
    epochs: int = Field(6, ge=1)
    stop: int | None = Field(None, ge=1)
    warmup: float = Field(0.1, ge=0, le=1)
    clip: float = Field(1.0, gt=0)
    patience: int = Field(2, ge=1)
    class_weight: float = Field(0.5, ge=0, le=1)  # exponent on negatives / positives
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    average: float = Field(0.0, ge=0, lt=1)  # decay a step of a running average of the weights; 0: none is kept


class Augment(_Strict):
    """Chances, 0 to 1, that an article of an epoch is changed in each way (see ``training.noise``)."""

    page: float = 0.25
    headlines: float = 0.25
    others: float = 0.0  # whole articles without any theme around it
    crop: float = 0.3
    diacritics: float = 0.15
    capitals: float = 0.04  # whole texts in capitals are read in small letters anyway; titles and mixed ones are not
    ocr: float = 0.08
    quotes: float = 0.05
    numbers: float = 0.2
    untitled: float = 0.3


class Split(_Strict):
    """Shares of stories; languages in ``unseen`` are only ever tested on (not with ``--data``).

    With ``folds`` over 0 nothing is held out: all articles train, and calibration and figures come from
    cross-validation in that many folds (``method: head`` only). Left out, it is 5 where a theme has few
    articles and only the head is trained, else 0 (see ``training.partition``).
    """

    validation: float = Field(0.12, gt=0, lt=1)
    test: float = Field(0.15, gt=0, lt=1)
    unseen: tuple[str, ...] = ()
    folds: int | None = Field(None, ge=0, le=20)


class Features(_Strict):
    """The cache of the frozen encoder's outputs (``method: head``)."""

    limit_gb: float = Field(4.0, gt=0)  # of disk; the least recently used go first


class TrainConfig(_Strict):
    """Everything a training run depends on besides the data and the machine."""

    name: str = "themewatch"
    version: str = "0.1.0"
    backbone: str = "bundled"
    taxonomy: Path
    data: tuple[Path, ...] = ()  # empty: the corpus that comes with the package
    start: str = BARE  # or "released", or a model folder: whose weights and themes training starts from
    replay: float | None = Field(None, ge=0, le=1)  # share of the corpus' training part mixed in; see training.replay
    method: Literal["lora", "head"] = "lora"
    pooling: Literal["mean", "attention", "max", "logsumexp"] = "attention"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    lexical: bool | Literal["auto"] = "auto"  # a linear part over word pieces: see training.lexical
    head_dropout: float = Field(0.1, ge=0, lt=1)
    seed: int = 1
    runs: int = Field(1, ge=1, le=8)  # of LoRA, in turn; the average is served, or the best (see training.soup)
    windows: Windows = Windows()
    lora: Lora = Lora()
    optimizer: Optimizer = Optimizer()
    augment: Augment = Augment()
    split: Split = Split()
    features: Features = Features()


def load_config(path: Path, **overrides: Any) -> TrainConfig:
    """Read a training YAML; paths in it are relative to the file.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or out of range.
    """
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
        config = TrainConfig.model_validate({**raw, **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(map(str, first["loc"]))
        raise ConfigError(f"setting {setting}: {first['msg']}", where=path) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise ConfigError(f"cannot read the configuration: {error}", where=path) from error
    base = path.parent
    return config.model_copy(
        update={
            "taxonomy": base / config.taxonomy,
            "data": tuple(base / p for p in config.data),
            "start": config.start if config.start in (BARE, RELEASED) else str(base / config.start),
        }
    )
