"""From judgements to labelled articles: labellers who disagree are named, and nobody's silence is a label."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from model.language import detect_language
from training.importers import Judgement, Left
from training.mapping import LabelMapping
from training.rows import Row

_ID_DIGITS = 16


@dataclass(frozen=True)
class Conflict:
    """Labellers who said different things about one text; ``resolved``: the majority was taken."""

    where: str
    start: str
    voices: dict[str, frozenset[str]]
    resolved: bool

    def __str__(self) -> str:
        said = "; ".join(f"{who}: {', '.join(sorted(themes)) or 'none'}" for who, themes in self.voices.items())
        return f"{self.where}: “{self.start}…” {said}{' (majority taken)' if self.resolved else ''}"


@dataclass
class Merged:
    """Labelled rows, the conflicts among labellers, and what was left out; ``changed`` counts changed minds."""

    rows: list[Row] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    changed: int = 0


@dataclass
class _Voice:
    """One labeller on one text: the themes given, and those asked about."""

    given: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)


def text_digest(text: str) -> str:
    """SHA-256 of a text, whatever its white space and Unicode normalisation."""
    return hashlib.sha256(" ".join(unicodedata.normalize("NFC", text).split()).encode("utf-8", "replace")).hexdigest()


def merge(
    judgements: Iterable[Judgement], mapping: LabelMapping, keys: Sequence[str], majority: bool = False,
    assume_none: bool = False,
) -> Merged:  # fmt: skip
    """One row for each text on which there is agreement.

    Args:
        mapping: must know every label.
        majority: take each theme that more than half of its labellers gave; a tie stays a conflict.
        assume_none: take silence (an empty label, a theme never asked about) for "no theme".
    """
    texts: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        texts.setdefault(text_digest(judgement.text), []).append(judgement)
    merged, names = Merged(), Counter[str]()
    for digest, own in texts.items():
        spoken = [j for j in own if assume_none or not j.silent]
        if not spoken:
            merged.left.append(Left(own[0].where, "empty label: 'no theme' or not labelled yet? (see --assume-none)"))
            continue
        voices = _voices(spoken, mapping, keys, merged)
        asked: set[str] = set().union(*(voice.asked for voice in voices.values()))
        if not assume_none and (unasked := [key for key in keys if key not in asked]):
            reason = f"nobody was asked about {', '.join(unasked)} (see --assume-none)"
            merged.left.append(Left(own[0].where, reason))
            continue
        themes, split, open_ = _vote(voices, keys)
        if split:
            said = {who: frozenset(voice.given) for who, voice in voices.items()}
            resolved = majority and not open_
            merged.conflicts.append(Conflict(own[0].where, own[0].text[:60].strip(), said, resolved))
            if not resolved:
                continue
        merged.rows.append(_row(digest, spoken, themes, len(voices), split, names))
    return merged


def _voices(
    judgements: list[Judgement], mapping: LabelMapping, keys: Sequence[str], merged: Merged
) -> dict[str, _Voice]:
    """What each labeller said, later words over earlier ones."""
    voices: dict[str, _Voice] = {}
    for judgement in judgements:
        voice = voices.setdefault(judgement.labeller, _Voice())
        given = mapping.apply(judgement.labels)
        asked = frozenset(keys) if judgement.asked is None else mapping.apply(judgement.asked)
        if judgement.asked and not asked and judgement.labels:
            asked = frozenset(keys)  # "none of them" accepted answers for every theme
        merged.changed += (voice.given & voice.asked & asked) != (given & voice.asked)
        voice.given = (voice.given - asked) | given
        voice.asked |= asked
    return voices


def _vote(voices: dict[str, _Voice], keys: Sequence[str]) -> tuple[list[str], bool, bool]:
    """The themes that most gave, whether anyone disagreed, and whether a theme is tied."""
    themes, split, tied = [], False, False
    for key in keys:
        yes = sum(key in voice.given for voice in voices.values())
        no = sum(key in voice.asked and key not in voice.given for voice in voices.values())
        split, tied = split or bool(yes and no), tied or bool(yes and yes == no)
        if yes > no:
            themes.append(key)
    return themes, split, tied


def _row(
    digest: str, judgements: list[Judgement], themes: list[str], labellers: int, split: bool, names: Counter[str]
) -> Row:
    first = {name: next((v for j in judgements if (v := getattr(j, name))), "") for name in ("title", "lang", "story")}
    identifier = next((j.id for j in judgements if j.id), "") or f"{judgements[0].source}-{digest[:_ID_DIGITS]}"
    names[identifier] += 1
    if names[identifier] > 1:  # another text of the same id
        identifier = f"{identifier}-{digest[:_ID_DIGITS]}"
    detected = "" if first["lang"] else detect_language(judgements[0].text)
    row: Row = {
        "id": identifier, "story": first["story"] or identifier,
        "lang": first["lang"] or detected.replace("und", ""), "title": first["title"],
        "text": judgements[0].text, "themes": themes, "source": judgements[0].source, "labellers": labellers,
    }  # fmt: skip
    return row | ({"resolved": "majority"} if split else {})
