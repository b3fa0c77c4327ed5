"""The answer to one article as HTML: decisions, then evidence, and the full text folded away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from model.artifact import Artifact
from model.decisions import ThemeDecision
from model.result import Evidence, Result
from serve.demo.html import box, escaped, hue, legend
from serve.demo.languages import language_name, theme_names

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
    told = f"<p>{escaped(note.strip())}</p>" if note else ""
    quotes = [
        f"<h3 dir='auto'>Why <bdi>{escaped(names[key])}</bdi></h3>{''.join(_quote(e, i) for e in found)}"
        for i, (key, found) in _numbered(result)
    ]
    return box(
        f"<p>{_headline(result, names)} <span class='tw-soft'>Language: "
        f"{escaped(language_name(result.language, list(languages)))}.</span></p>{told}"
        f"<ul class='tw-themes'>{''.join(rows)}</ul>{''.join(quotes)}"
        f"<details><summary>Full text, evidence marked</summary>"
        f"{legend([names[key] for key in result.scores])}"
        f"<div class='tw-full' dir='auto'>{marked(result, text, names)}</div></details>"
    )


def marked(result: Result, text: str, names: dict[str, str]) -> str:
    """The text with its evidence marked in the theme's colour: the darker, the larger the share."""
    spans: dict[tuple[int, int], list[tuple[float, int, str]]] = defaultdict(list)
    for index, (key, found) in _numbered(result):
        for item in found:
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
    return " ".join(found) or "None of the themes."


def _theme(key: str, name: str, decision: str, score: float, rule: ThemeDecision) -> str:
    told = f"{score:.0%}; review from {rule.lower:.0%}, match from {rule.upper:.0%}"
    return (
        f"<li class='tw-theme tw-{decision}' data-theme='{escaped(key)}' data-decision='{decision}'>"
        f"<bdi>{escaped(name)}</bdi><div class='tw-bar' role='img' aria-label='{told}' title='{told}'>"
        f"<div class='tw-band' style='inset-inline-start:{rule.lower:.1%};width:{rule.upper - rule.lower:.1%}'></div>"
        f"<div class='tw-fill' style='width:{score:.1%}'></div>"
        f"<div class='tw-limit' style='inset-inline-start:{rule.upper:.1%}'></div></div>"
        f"<span><span class='tw-word'>{score:.0%} · {WORDS[decision]}</span> "
        f"<small>(match from {rule.upper:.0%})</small></span></li>"
    )


def _quote(item: Evidence, index: int) -> str:
    return (
        f"<blockquote class='tw-quote' dir='auto' style='{hue(index)};--share:{item.share:.2f}'>{escaped(item.text)} "
        f"<small>{item.share:.0%}</small></blockquote>"
    )
