"""The answer to one article as HTML: decisions, then evidence, and the full text folded away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from model.artifact import Artifact
from model.decisions import ThemeDecision
from model.result import Evidence, Result
from serve.demo.html import box, escaped, hue, legend
from serve.demo.languages import language_name, theme_names

_SHARES = "The sentences that count most. The percentage is a sentence's part in the score, not how sure the model is."
WORDS = {"match": "match", "review": "to review", "none": "no"}


def render(artifact: Artifact, result: Result, text: str, languages: Sequence[str] = (), note: str = "") -> str:
    """The answer; everything that came from the text is escaped.

    Args:
        languages: the reader's, best first.
        note: on what was left out of a file.
    """
    names = theme_names(artifact.taxonomy, list(languages))
    rows = [
        _theme(key, names[key], result.decisions[key].value, score, artifact.decisions.themes[key])
        for key, score in result.scores.items()
    ]
    if result.truncated:
        note += " The article is longer than the model reads: only its first part counts."
    note = f"{note.strip()} {_doubt(artifact, result)}".strip()
    told = f"<p>{escaped(note)}</p>" if note else ""
    intro = f"<p class='tw-soft'>{_SHARES}</p>" if any(result.evidence.values()) else ""
    quotes = [
        f"<h3 dir='auto'>Why <bdi>{escaped(names[key])}</bdi></h3>{''.join(_quote(e, i) for e in found)}"
        for i, (key, found) in _numbered(result)
    ]
    return box(
        f"<p aria-live='polite'>{_headline(result, names)} <span class='tw-soft'>Language: "
        f"{escaped(language_name(result.language, list(languages)))}.</span></p>{told}"
        f"<ul class='tw-themes'>{''.join(rows)}</ul><p class='tw-soft'>{_advice(result)}</p>{intro}{''.join(quotes)}"
        f"<details><summary>Full text, evidence marked</summary>"
        f"{legend([names[key] for key in result.scores])}"
        f"<div class='tw-full' dir='auto'>{marked(result, text, names)}</div></details>"
        f"<p class='tw-soft'>Answered by {escaped(artifact.name)} {escaped(artifact.version)}.</p>"
    )


def marked(result: Result, text: str, names: dict[str, str]) -> str:
    """The text with its evidence marked in the theme's colour: the darker, the larger the share."""
    spans: dict[tuple[int, int], list[tuple[float, int, str]]] = defaultdict(list)
    for index, (key, found) in _numbered(result):
        for item in found:
            if item.in_title:  # its places are those of a title that stands apart from this text
                continue
            spans[item.start, item.end].append((item.share, index, names[key]))
    out, at = [], 0
    for (start, end), carried in sorted(spans.items()):
        if start < at:
            continue
        share, index, _ = max(carried)
        label = ", ".join(f"{name} {part:.0%}" for part, _, name in sorted(carried, reverse=True))
        out.append(
            f"{escaped(text[at:start])}<mark class='tw-mark' style='{hue(index)};--share:{share:.2f}' "
            f"title='{escaped(label)}'>{escaped(text[start:end])}</mark>"
        )
        at = end
    return "".join(out) + escaped(text[at:])


def _numbered(result: Result) -> list[tuple[int, tuple[str, tuple[Evidence, ...]]]]:
    """Themes with evidence, each with its place in the taxonomy, the surest first."""
    places = {key: place for place, key in enumerate(result.scores)}
    ordered = sorted(result.evidence.items(), key=lambda pair: -result.scores[pair[0]])
    return [(places[key], (key, found)) for key, found in ordered]


def _headline(result: Result, names: dict[str, str]) -> str:
    found = []
    for decision, words in (("match", "Reports on"), ("review", "To review")):
        listed = [names[key] for key, said in result.decisions.items() if said.value == decision]
        if listed:
            found.append(f"{words}: " + ", ".join(f"<b><bdi>{escaped(name)}</bdi></b>" for name in listed) + ".")
    return " ".join(found) or "None of the themes found."


def _advice(result: Result) -> str:
    """What the decisions are good for, in a sentence or two."""
    said = {decision.value for decision in result.decisions.values()}
    if said <= {"none"}:
        return "The model can miss a theme. If you see one, say so under Correct."
    unsure = " To review means: the model is unsure, a person decides." if "review" in said else ""
    return f"An estimate, not a finding: read the sentences below before you act on it.{unsure}"


def _doubt(artifact: Artifact, result: Result) -> str:
    """Where the language itself is a reason to be careful."""
    if result.language == "und":
        return "The language was not recognised: rely less on this answer."
    data = artifact.training.get("data")
    part = data.get("train") if isinstance(data, Mapping) else None
    known = part.get("languages") if isinstance(part, Mapping) else None
    if known and result.language not in known:
        return "The model was not trained on this language: rely less on this answer."
    return ""


def apart(score: float, limit: float) -> tuple[str, str]:
    """Both as percentages, with as many digits as show that a score under its limit is under it (two at most)."""
    for digits in range(3):
        shown = f"{score:.{digits}%}", f"{limit:.{digits}%}"
        if score >= limit or shown[0] != shown[1]:
            break
    return shown


def _theme(key: str, name: str, decision: str, score: float, rule: ThemeDecision) -> str:
    said, upper = apart(score, rule.upper)
    told = f"{said}; review from {rule.lower:.0%}, match from {upper}"
    return (
        f"<li class='tw-theme tw-{decision}' data-theme='{escaped(key)}' data-decision='{decision}'>"
        f"<bdi>{escaped(name)}</bdi><div class='tw-bar' role='img' aria-label='{told}' title='{told}'>"
        f"<div class='tw-band' style='inset-inline-start:{rule.lower:.1%};width:{rule.upper - rule.lower:.1%}'></div>"
        f"<div class='tw-fill' style='width:{score:.1%}'></div>"
        f"<div class='tw-limit' style='inset-inline-start:{rule.upper:.1%}'></div></div>"
        f"<span><span class='tw-word'>{said} · {WORDS[decision]}</span> "
        f"<small>(match from {upper})</small></span></li>"
    )


def _quote(item: Evidence, index: int) -> str:
    return (
        f"<blockquote class='tw-quote' dir='auto' style='{hue(index)};--share:{item.share:.2f}'>{escaped(item.text)} "
        f"<small>{item.share:.0%}</small></blockquote>"
    )
