"""The model card, made from the training record whenever an artifact is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.taxonomy import Taxonomy
from training.config import TrainConfig
from training.report.markdown import language_table, theme_table
from training.report.summary import interval


def write_card(path: Path, config: TrainConfig, taxonomy: Taxonomy, record: dict[str, Any]) -> None:
    """Write the card as Markdown; every figure comes from ``record``."""
    path.write_text("\n".join([*_head(config, taxonomy, record), *_figures(record), *_tail(record)]), "utf-8")


def _head(config: TrainConfig, taxonomy: Taxonomy, record: dict[str, Any]) -> list[str]:
    data = record["data"]
    method = "LoRA on all linear layers" if config.method == "lora" else "the head alone"
    lines = [
        f"# {config.name} {config.version}", "",
        f"Says which of {len(taxonomy.themes)} themes of online exploitation a news article reports on "
        f"(taxonomy {taxonomy.version}), with calibrated probability and the sentences that show why.", "",
        "| theme | what it means |", "|---|---|",
        *(f"| `{t.key}` | {t.definition} |" for t in taxonomy.themes), "",
        "## How it was made", "",
        f"Encoder `{config.backbone}`; trained: {method}; pooling: {config.pooling}; seed {config.seed}. "
        f"{data['train']['items']} articles in {len(data['train']['languages'])} languages trained it, "
        f"{data['validation']['items']} chose epoch, calibration and thresholds, and "
        f"{data['test']['items']} held-out ones measured it.", "",
        *_lineage(config, record),
        "The corpus that comes with themewatch was **written for this project** by language models after a seeded "
        "plan: fictional news-style texts, none scraped or translated from published articles.", "",
    ]  # fmt: skip
    return lines


def _lineage(config: TrainConfig, record: dict[str, Any]) -> list[str]:
    """What a retrained model owes to another one and to the corpus."""
    start, replay = record.get("start"), record.get("replay")
    lines = [f"Training started from {start['name']} {start['version']} (`{start['digest'][:12]}`)."] if start else []
    if part := record.get("linear_part"):
        lines.append(
            f"Beside the network counts a linear part over {part['pieces']} word pieces, in an article by the share of "
            "its words that training has seen."
        )
    if replay:
        lines.append(
            f"{replay['train']['items']} articles of the bundled corpus' training part were replayed beside them, "
            f"{replay['validation']['items']} of its held-out ones helped to calibrate."
        )
    if config.split.folds:
        lines.append(
            f"The articles are few: none was held out, and calibration and figures come from {config.split.folds}-fold "
            "cross-validation."
        )
    return [" ".join(lines), ""] if lines else []


def _figures(record: dict[str, Any]) -> list[str]:
    lines = ["## Measured", "", "Decision `match` counts as yes. 95 % bootstrap intervals over stories.", ""]
    for name, table in record["metrics"].items():
        macro = table["macro_f1"]
        lines += [f"### {name}: {table['items']} articles, macro-F1 {interval(macro)}", "",
                  f"Calibration error {table['calibration_error']}, recall at the review band's lower edge "
                  f"{table['recall_at_review']}.", "", *theme_table(table), *language_table(table)]  # fmt: skip
    return lines


def _tail(record: dict[str, Any]) -> list[str]:
    languages = ", ".join(record["data"]["train"]["languages"])
    return [
        "## Where to be careful", "",
        f"- Trained on {languages}. Other languages work through the multilingual encoder, less surely.",
        "- It judges what a text reports, not whether it is true, and nothing about people.",
        "- It reads news and releases. Chat logs, advertisements and legal codes are outside what it was made for.",
        "- Written training texts are tidier than the web; measure on your own labelled articles "
        "(`themewatch evaluate`) before you rely on it.",
        "- A `review` is meant to be read by a person; so is a `match` that has consequences.", "",
        "No text of a real case or person was used. Intended for analysts who protect people; not for deciding "
        "about individuals.", "",
    ]  # fmt: skip
