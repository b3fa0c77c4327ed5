"""The report, and the figures of a model card, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from training.report.page import change, figure, percent
from training.report.summary import interval


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table and an empty line; cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(map(cell, line)) + " |" for line in lines), ""]


def cell(value: object) -> str:
    """Text that stays inside its cell and is nothing but text."""
    text = " ".join(str(value).split())
    for character, instead in {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "[": "\\[", "]": "\\]"}.items():
        text = text.replace(character, instead)
    return text


def theme_table(figures: dict[str, Any]) -> list[str]:
    """By theme, with intervals; ``figures`` as ``training.table.result_figures`` gives them."""
    rows = [
        (f"`{key}`", row["items"], *(interval(row[m]) for m in ("precision", "recall", "f1")),
         figure(row["average_precision"]))
        for key, row in figures["themes"].items()
    ]  # fmt: skip
    return table(("theme", "articles", "precision", "recall", "F1", "average precision"), rows)


def language_table(figures: dict[str, Any]) -> list[str]:
    """By language, with intervals of micro-F1."""
    rows = [
        (lang or "not told", row["items"], interval(row["interval"]), figure(row["macro_f1"]), row["false_alarms"])
        for lang, row in figures["languages"].items()
    ]
    return table(("language", "articles", "micro-F1", "macro-F1", "articles with a false alarm"), rows)


def markdown(report: dict[str, Any]) -> str:
    """The report without its charts and texts."""
    names, model = report["themes"], report["systems"]["model"]
    lines = [f"- {cell(line)}" for line in report["summary"]]
    if report["leaks"]["warning"]:
        lines = [f"**{cell(report['summary'][0])}**", "", f"# Evaluation of {report['title']}", "", *lines[1:]]
    else:
        lines = [f"# Evaluation of {report['title']}", "", *lines]
    lines += ["", f"{report['made']}, {report['written_by']}, engine {report['model']['engine']}. "
              "95 % bootstrap intervals over stories; `match` counts as yes.", ""]  # fmt: skip
    lines += ["## Beside the baselines", "", *_systems(report), "## By theme", "", *theme_table(model)]
    lines += ["## By language", "", *language_table(model), "## Thresholds", "", *_thresholds(report)]
    head = ["labelled, alone", "articles", *names.values(), "nothing"]
    rows = [(names.get(k, "no theme"), *row.values()) for k, row in report["confusion"].items()]
    lines += ["## What is taken for what", "", *table(head, rows)]
    together = [(names[key], *row.values()) for key, row in report["cooccurrence"].items()]
    lines += table(("articles that carry both", *names.values()), together)
    if report["kinds"]:
        kinds = [
            (
                kind,
                row["items"],
                percent(row["false_alarms"]),
                percent(row["to_review"]),
                percent(row["lost"]),
                ", ".join(f"{names[theme]} {n}" for theme, n in row["taken_for"].items()),
            )
            for kind, row in report["kinds"].items()
        ]
        lines += table(("kind", "articles", "wrong match", "to review", "theme lost", "wrongly matched"), kinds)
    return "\n".join([*lines, *_slices(report), *_mistakes(report), *_drift(report), *_made(report)])


def _systems(report: dict[str, Any]) -> list[str]:
    rows = []
    for name, row in report["systems"].items():
        against = change(report["against"][name]["difference"]) if name in report["against"] else ""
        rows.append((report["title"] if name == "model" else name, interval(row["macro_f1"]), against))
    return table(("system", "macro-F1", "model less baseline"), rows)


def _thresholds(report: dict[str, Any]) -> list[str]:
    lines = []
    figures = ("threshold", "precision", "recall", "f1", "flagged_per_day", "wrong_per_day", "missed_per_day")
    for key, choices in report["thresholds"]["themes"].items():
        rows = [(c["choice"], *(figure(c.get(name)) for name in figures)) for c in choices]
        lines += [f"### {report['themes'][key]}", "", *table(("choice", *figures), rows)] if rows else []
    return lines


def _slices(report: dict[str, Any]) -> list[str]:
    lines = ["## Slices", ""]
    for name, parts in report["slices"].items():
        rows = [
            (key, row["items"], interval(row["macro_f1"]), interval(row["micro_f1"]), percent(row["false_alarms"]))
            for key, row in parts.items()
        ]
        lines += table((name, "articles", "macro-F1", "micro-F1", "false alarms on theme-free"), rows)
    if report["noise"]:
        damaged = [
            (name, figure(row["macro_f1"]["new"]), change(row["macro_f1"]["difference"]))
            for name, row in report["noise"]["kinds"].items()
            if row["macro_f1"]
        ]
        lines += table((f"noise on {report['noise']['items']} articles", "macro-F1", "difference"), damaged)
    return lines


def _mistakes(report: dict[str, Any]) -> list[str]:
    rows = [
        (row["id"], row["lang"], report["themes"][key], wrong["mistake"], figure(wrong["score"]))
        for row in report["mistakes"] for key, wrong in row["wrong"].items()
    ]  # fmt: skip
    return ["## Worst mistakes", "", *table(("article", "language", "theme", "mistake", "score"), rows)]


def _drift(report: dict[str, Any]) -> list[str]:
    drift, names = report["drift"], report["themes"]
    if not drift["languages"]:
        return []
    parts = {"languages": drift["languages"], "lengths": drift["lengths"]}
    parts |= {f"scores of {names[key]}": row for key, row in drift["scores"].items()}
    rows = [(what, figure(r["distance"]), figure(r["by_chance"]), r["verdict"]) for what, r in parts.items()]
    head = ("what", "Jensen-Shannon distance", "by chance up to", "verdict")
    return ["## Drift against the training data", "", *table(head, rows)]


def _made(report: dict[str, Any]) -> list[str]:
    model, data = report["model"], report["data"]
    rows = [("model", report["title"], model["sha256"]), ("encoder", model["backbone"], model["backbone_sha256"])]
    rows += [("articles", str(data["items"]), data["sha256"])]
    rows += [("file", file["name"], file["sha256"]) for file in data["files"]]
    return ["## Model and data", "", *table(("what", "name", "SHA-256"), rows)]
