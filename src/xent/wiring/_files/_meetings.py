"""Files that meet on one model: one trains it, another evaluates it. They are read together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from xent.wiring._files._reading import Reading

# Files that are read together at most; where more meet, those that meet on one model.
MOST_TOGETHER = 40


def meetings(readings: Mapping[Path, Reading]) -> list[tuple[Path, ...]]:
    """The groups of files that must be read together, since one asks what others do with a model.

    Args:
        readings: what was found in each file by itself; the order of the groups and in them.
    """
    asked = _by_key((path, reading.asked) for path, reading in readings.items())
    losses = _by_key((path, reading.losses) for path, reading in readings.items())
    order = {path: number for number, path in enumerate(readings)}
    circles = [
        sorted({*paths, *losses[key]}, key=order.__getitem__)
        for key, paths in sorted(asked.items())
        if key in losses
    ]
    circles = [circle for circle in circles if len(circle) > 1]
    groups: dict[tuple[Path, ...], None] = {}
    for group, within in _joined(circles):
        pieces = [sorted(group, key=order.__getitem__)] if len(group) <= MOST_TOGETHER else within
        for piece in pieces:
            for start in range(0, len(piece), MOST_TOGETHER):
                groups[tuple(piece[start : start + MOST_TOGETHER])] = None
    return sorted(groups, key=lambda group: [order[path] for path in group])


def _by_key(named: Iterable[tuple[Path, Sequence[str]]]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path, keys in named:
        for key in keys:
            found.setdefault(key, []).append(path)
    return found


def _joined(circles: list[list[Path]]) -> list[tuple[set[Path], list[list[Path]]]]:
    """Circles that share a file as one group, each with the circles in it."""
    groups: list[tuple[set[Path], list[list[Path]]]] = []
    for circle in circles:
        group, within = set(circle), [circle]
        for other in [each for each in groups if not each[0].isdisjoint(group)]:
            groups.remove(other)
            group |= other[0]
            within = other[1] + within
        groups.append((group, within))
    return groups
