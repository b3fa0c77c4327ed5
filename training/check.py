"""What ``themewatch data check`` finds: bad rows, duplicates, languages, balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from model.language import detect_language
from training.data import BadRow, Item, read_items
from training.splits import near_duplicates

_MANY, _FEW = 20, 8  # lines shown of a kind; fewest articles a theme can be trained on
_ALIKE = {frozenset(p) for p in (("hr", "sr"), ("hr", "sh"), ("id", "ms"), ("no", "da"), ("cs", "sk"), ("hi", "ne"))}


@dataclass(frozen=True)
class Report:
    """Findings on labelled files; only ``bad`` rows stop a training run."""

    items: list[Item]
    bad: list[BadRow]
    duplicates: list[tuple[Item, Item]]
    conflicts: list[tuple[Item, Item]]
    foreign: list[tuple[Item, str]]
    keys: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The report, line by line."""
        yield from map(str, self.bad)
        yield f"{len(self.items)} usable articles, {len(self.bad)} bad rows"
        none = sum(not item.themes for item in self.items)
        counts = {key: sum(key in item.themes for item in self.items) for key in self.keys}
        yield "themes: " + ", ".join(f"{key} {n}" for key, n in counts.items()) + f", none {none}"
        languages = Counter(item.lang or "?" for item in self.items)
        yield "languages: " + ", ".join(f"{lang} {n}" for lang, n in languages.most_common())
        for key, count in counts.items():
            if count < _FEW:
                yield f"warning: theme {key} has {count} articles; training needs at least {_FEW}"
        if self.items and not none:
            yield "warning: no article without a theme; a model trained on this will see themes everywhere"
        yield from _listed(
            "labelled differently", [f"{a.id} and {b.id} are nearly the same text" for a, b in self.conflicts]
        )
        yield from _listed(
            "near-duplicates (kept on one side of every split)",
            [f"{a.id} and {b.id}" for a, b in self.duplicates],
        )
        yield from _listed(
            "language differs from what is detected",
            [f"{item.id}: says {item.lang}, looks like {seen}" for item, seen in self.foreign],
        )


def check_files(files: Iterable[Path], keys: tuple[str, ...]) -> Report:
    """Read and examine labelled files.

    Raises:
        DataError: a file is missing, unreadable or of an unknown format.
    """
    items, bad = read_items(files, keys)
    pairs = [(items[a], items[b]) for a, b in near_duplicates(items)]
    foreign = []
    for item in items:
        seen = detect_language(item.text)
        if item.lang and seen not in ("und", item.lang) and frozenset((seen, item.lang)) not in _ALIKE:
            foreign.append((item, seen))
    return Report(
        items=items, bad=bad, duplicates=pairs, foreign=foreign, keys=keys,
        conflicts=[(a, b) for a, b in pairs if set(a.themes) != set(b.themes)],
    )  # fmt: skip


def _listed(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"{title}: {len(lines)}"
        yield from (f"  {line}" for line in lines[:_MANY])
        if len(lines) > _MANY:
            yield f"  … and {len(lines) - _MANY} more"
