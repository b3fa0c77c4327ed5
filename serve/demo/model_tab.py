"""The tab *Model*: what was measured of the loaded model, in tables and plots, and its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from model.artifact import Artifact
from serve.demo.card import card_text
from serve.demo.context import Context
from serve.demo.html import box, escaped, share_bars
from serve.demo.languages import asked_languages, language_name, theme_names

_PARTS = {
    "test": "Held-out articles",
    "unseen": "Languages never trained on",
    "validation": "Articles that chose the thresholds (rosier than it will be)",
}


def model_tab(context: Context, page: gr.Blocks, tab: gr.Tab) -> None:
    """The tab's components; filled in when a browser comes or turns to the tab: the model may be another by then."""
    shown = gr.HTML(elem_id="model")
    with gr.Accordion("Model card", open=False, elem_id="card"):
        card = gr.Markdown()
    occasions: list[Any] = [page.load, tab.select]
    for event in occasions:
        event(_Shown(context).load, None, [shown, card], api_visibility="private", show_progress="hidden")


@dataclass(frozen=True)
class _Shown:
    context: Context

    def load(self, request: gr.Request) -> list[str]:
        artifact = self.context.classifier.artifact
        return [model_html(artifact, asked_languages(request)), card_text(artifact)]


def model_html(artifact: Artifact, languages: list[str]) -> str:
    """Facts and measurements; a record that lacks some of them is shown as far as it goes."""
    names = theme_names(artifact.taxonomy, languages)
    facts = {
        "Model": f"{artifact.name} {artifact.version}", "Fingerprint": artifact.digest[:16],
        "Encoder": artifact.backbone, "Taxonomy": artifact.taxonomy.version,
        "Trained on": _trained_on(artifact.training),
    }  # fmt: skip
    rows = "".join(f"<tr><th scope='row'>{k}</th><td>{escaped(v)}</td></tr>" for k, v in facts.items() if v)
    metrics = artifact.training.get("metrics")
    parts = {key: part for key, part in metrics.items() if isinstance(part, Mapping)} if metrics else {}
    ordered = sorted(parts, key=lambda key: (list(_PARTS).index(key) if key in _PARTS else len(_PARTS), key))
    told = "".join(_part(_PARTS.get(key, key), parts[key], names, languages) for key in ordered)
    return box(f"<table>{rows}</table>{told or '<p>Its training record holds no evaluation.</p>'}")


def _trained_on(training: Mapping[str, Any]) -> str:
    data = training.get("data")
    part = data.get("train") if isinstance(data, Mapping) else None
    if not isinstance(part, Mapping):
        return ""
    return f"{part.get('items', 0):,} articles in {len(part.get('languages') or ())} languages"


def _part(title: str, part: Mapping[str, Any], names: dict[str, str], languages: list[str]) -> str:
    macro = _interval(part.get("macro_f1"))
    head = f"<h3>{escaped(title)}: {part.get('items', 0):,} articles</h3>"
    told = [f"macro-F1 {macro}"] if macro else []
    for key, words in (("calibration_error", "calibration error"), ("recall_at_review", "recall with the review band")):
        if isinstance(part.get(key), (int, float)):
            told.append(f"{words} {part[key]:.3f}")
    text = f"<p>{escaped('; '.join(told))}.</p>" if told else ""
    return head + text + _themes(part.get("themes"), names) + _languages(part.get("languages"), languages)


def _themes(themes: Any, names: dict[str, str]) -> str:
    if not isinstance(themes, Mapping) or not themes:
        return ""
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("Theme", "Articles", "Precision", "Recall", "F1"))
    rows, bars = [], []
    for key, values in themes.items():
        name = str(names.get(key) or key)
        cells = "".join(f"<td class='tw-number'>{_interval(values.get(m))}</td>" for m in ("precision", "recall", "f1"))
        head_cell = f"<th scope='row' dir='auto'>{escaped(name)}</th>"
        rows.append(f"<tr>{head_cell}<td class='tw-number'>{values.get('items', '')}</td>{cells}</tr>")
        f1 = values.get("f1")
        if isinstance(f1, Mapping):
            bars.append((name, float(f1["value"]), (float(f1["low"]), float(f1["high"])), f"{f1['value']:.2f}"))
    plot = share_bars(bars, "F1 by theme, with 95 % interval")
    return f"{plot}<div class='tw-scroll'><table><thead><tr>{head}</tr></thead>{''.join(rows)}</table></div>"


def _languages(found: Any, languages: list[str]) -> str:
    """Weakest first: that is what a reader needs to know."""
    if not isinstance(found, Mapping) or not found:
        return ""
    known = [(code, v) for code, v in found.items() if isinstance(v.get("micro_f1"), (int, float))]
    bars = [
        (language_name(code, languages), float(v["micro_f1"]), None,
         f"{v['micro_f1']:.2f} · {v.get('items', 0)} articles · {v.get('false_alarms', 0)} false alarms")
        for code, v in sorted(known, key=lambda pair: (pair[1]["micro_f1"], pair[0]))
    ]  # fmt: skip
    plot = share_bars(bars, "Micro-F1 by language, weakest first; few articles say little")
    return f"<details><summary>By language ({len(bars)})</summary>{plot}</details>"


def _interval(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
