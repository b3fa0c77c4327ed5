"""The report in words: what a reader must know before any table."""

from __future__ import annotations

from typing import Any

LEAST = 20  # articles of a language below which it is not judged alone


def summary(report: dict[str, Any]) -> list[str]:
    """Sentences, the most important first; a leak stands before everything."""
    leaks, out = report["leaks"], []
    if leaks["items"]:
        rest = leaks["without"]
        clean = f" Without them: macro-F1 {interval(rest['macro_f1'])} on {rest['items']:,} articles." if rest else ""
        out.append(f"Warning: {leaks['warning']}.{clean}")
    headline = [_headline(report), *([f"Beware: {report['unjudged']}."] if report["unjudged"] else [])]
    out += [*headline, *_three_ways(report), *_themes(report), *_languages(report), _calibration(report)]
    out += [*_baselines(report), *_noise(report), *_drift(report)]
    if not leaks["checked"]:
        out.append(f"Whether training articles are among these could not be checked in full: {leaks['missing']}.")
    return out


def interval(figure: dict[str, float] | None) -> str:
    """``0.875 [0.838, 0.908]``, or n/a."""
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]" if figure else "n/a"


def _headline(report: dict[str, Any]) -> str:
    data, macro = report["data"], report["systems"]["model"]["macro_f1"]
    what = f"On {data['items']:,} articles in {data['languages']} languages, {report['title']}"
    if not macro:
        return f"{what} was measured for false alarms only: no article carries a theme."
    return f"{what} reaches a macro-F1 of {interval(macro)} (95 % interval over stories)."


def _three_ways(report: dict[str, Any]) -> list[str]:
    overall, model, out = report["overall"], report["systems"]["model"], []
    if model["recall_at_review"] is not None:
        wanted = sum(row["items"] for row in model["themes"].values())
        found = sum(row["recall"]["value"] * row["items"] for row in model["themes"].values()) / wanted
        kept = model["recall_at_review"]
        out.append(
            f"Of the themes that articles carry, it matches {found:.1%}, sends {kept - found:.1%} to review and "
            f"loses {1 - kept:.1%}."
        )
    if alarms := overall["false_alarms"]:
        out.append(
            f"Of {overall['theme_free']:,} articles without any theme it wrongly matches {alarms['value']:.1%} "
            f"[{alarms['low']:.1%}, {alarms['high']:.1%}]."
        )
    return out


def _themes(report: dict[str, Any]) -> list[str]:
    rows = {key: row for key, row in report["systems"]["model"]["themes"].items() if row["items"]}
    if len(rows) < 2:
        return []
    worst, best = (pick(rows, key=lambda k: rows[k]["f1"]["value"]) for pick in (min, max))
    names = report["themes"]
    return [
        f"Best theme: {names[best]} (F1 {interval(rows[best]['f1'])}); weakest: {names[worst]} "
        f"({interval(rows[worst]['f1'])})."
    ]


def _languages(report: dict[str, Any]) -> list[str]:
    rows = report["systems"]["model"]["languages"]
    enough = {k: row for k, row in rows.items() if row["items"] >= LEAST and row["macro_f1"] is not None}
    few = len(rows) - sum(row["items"] >= LEAST for row in rows.values())
    out = []
    if len(enough) > 1:
        worst = min(enough, key=lambda k: enough[k]["micro_f1"])
        shown = interval(enough[worst]["interval"])
        out.append(f"Weakest language with {LEAST} articles or more: {worst} (micro-F1 {shown}).")
    if few:
        out.append(f"{few} of {len(rows)} languages have fewer than {LEAST} articles: too few to judge each alone.")
    return out


def _calibration(report: dict[str, Any]) -> str:
    error = report["systems"]["model"]["calibration_error"]
    word = "can be read as probabilities" if error < 0.03 else "are roughly probabilities" if error < 0.08 else (
        "must not be read as probabilities on these articles"
    )  # fmt: skip
    return f"Scores {word} (expected calibration error {error:.3f})."


def _baselines(report: dict[str, Any]) -> list[str]:
    if not report["against"]:
        return [f"No baselines: {report['baselines_note']}."] if report["baselines_note"] else []
    systems = report["systems"]
    best = max(report["against"], key=lambda name: systems[name]["macro_f1"]["value"])
    change = report["against"][best]["difference"]
    word = "better" if change["low"] > 0 else "worse" if change["high"] < 0 else "not surely better or worse"
    return [
        f"Against the best baseline, {best}, it is {word}: macro-F1 {change['value']:+.3f} "
        f"[{change['low']:+.3f}, {change['high']:+.3f}]."
    ]


def _noise(report: dict[str, Any]) -> list[str]:
    if not report["noise"]:
        return []
    kinds = {name: row["macro_f1"]["difference"] for name, row in report["noise"]["kinds"].items() if row["macro_f1"]}
    if not kinds:
        return []
    worst = min(kinds, key=lambda name: kinds[name]["value"])
    if kinds[worst]["high"] >= 0:
        return ["No kind of page noise or text damage that was tried surely costs anything."]
    cost = "{value:+.3f} [{low:+.3f}, {high:+.3f}]".format(**kinds[worst])
    return [f"The noise that costs most: {worst} (macro-F1 {cost}, on {report['noise']['items']} of the articles)."]


def _drift(report: dict[str, Any]) -> list[str]:
    drift = report["drift"]
    if not drift["languages"]:
        return ["What the model was trained on is not recorded, so nothing can be said about drift."]
    shares = drift["languages"]["shares"]
    new = {name: row["now"] for name, row in shares.items() if name not in report["model"]["languages"]}
    new = {name: share for name, share in new.items() if share}
    told = f"; {sum(new.values()):.0%} are in languages it was not trained on" if new else ""
    scores = [key for key, row in drift["scores"].items() if row["distance"] > max(row["by_chance"], 0.1)]
    names = ", ".join(report["themes"][key] for key in scores)
    out = [
        f"Compared with the training articles, languages are {_short(drift['languages'])}{told}; "
        f"lengths are {_short(drift['lengths'])}."
    ]
    return out + ([f"Scores lie elsewhere than on the model's own test articles for: {names}."] if names else [])


def _short(row: dict[str, Any]) -> str:
    return str(row["verdict"].split(":")[0])
