"""Which findings are shown: by codes, prefixes of codes, and names."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from xent._errors import InputError
from xent.wiring._finding import NOTE, Finding
from xent.wiring.rules import RULES


def matches(selector: str, code: str, name: str) -> bool:
    """Whether a selector means a rule: a code, the beginning of one, a name, ALL or nothing.

    >>> matches("XE1", "XE101", "softmax-into-cross-entropy"), matches("XE2", "XE101", "")
    (True, False)
    """
    return selector in ("", "ALL", name) or code.startswith(selector)


@dataclass(frozen=True)
class Selection:
    """What is shown.

    Args:
        select: only these; empty for every error and warning.
        extend_select: these too, such as the notes of ``XE5``.
        ignore: never these.
        per_file_ignores: never these in files that match a pattern.
        exclude: files and folders that are left out.
    """

    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exclude: tuple[str, ...] = ()
    root: str = ""

    def shows(self, finding: Finding) -> bool:
        """Whether a finding is shown."""
        if self._means(self.ignore, finding) or self._ignored_there(finding):
            return False
        if self._means(self.extend_select, finding):
            return True
        if self.select:
            return self._means(self.select, finding)
        return finding.level != NOTE

    def _means(self, selectors: Sequence[str], finding: Finding) -> bool:
        return any(matches(selector, finding.code, finding.name) for selector in selectors)

    def _ignored_there(self, finding: Finding) -> bool:
        path = Path(finding.place.path)
        return any(
            self._means(codes, finding)
            for pattern, codes in self.per_file_ignores
            if is_like(path, pattern, self.root)
        )

    def with_options(
        self, select: Sequence[str], extend_select: Sequence[str], ignore: Sequence[str]
    ) -> Selection:
        """The selection of a file with what the command line says on top."""
        return replace(
            self,
            select=tuple(select) or self.select,
            extend_select=(*self.extend_select, *extend_select),
            ignore=(*self.ignore, *ignore),
        )


def is_like(path: Path, pattern: str, root: str = "") -> bool:
    """Whether a path matches a pattern: the whole of it, its name, or one of its folders.

    >>> is_like(Path("tests/wiring/a.py"), "tests/*"), is_like(Path("src/a.py"), "a.py")
    (True, True)
    """
    names = [str(path), path.name, *path.parts]
    if root:
        with contextlib.suppress(ValueError):
            names.append(str(Path(path).absolute().relative_to(root)))
    folder = pattern.rstrip("/")
    return any(fnmatch(name, pattern) or fnmatch(name, folder) for name in names)


def check_selectors(option: str, selectors: Sequence[str]) -> tuple[str, ...]:
    """The selectors as they came, or an error for one that means no rule."""
    for selector in selectors:
        if selector == "ALL" or any(
            matches(selector, rule.code, rule.name) for rule in RULES.values()
        ):
            continue
        from difflib import get_close_matches

        # Codes that are alike in letters have nothing else in common.
        near = get_close_matches(selector, [rule.name for rule in RULES.values()], n=1)
        repair = f"Did you mean {near[0]}?" if near else "xent rule lists the rules."
        raise InputError(option, "codes, beginnings of codes or names of rules", repr(selector),
                         repair)  # fmt: skip
    return tuple(selectors)


@cache
def selection_for(folder: Path) -> Selection:
    """The settings of the nearest pyproject.toml that has ``[tool.xent.check]``."""
    for each in (folder, *folder.parents):
        file = each / "pyproject.toml"
        try:
            if not file.is_file():
                continue
            tables = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError:
            continue
        except (ValueError, RecursionError) as error:
            raise InputError(str(file), "a TOML file", f"{error}", "Repair it.") from None
        found = _table_of_check(tables, file)
        if found is not None:
            return _read(found, file)
    return Selection()


def _table_of_check(tables: dict[str, Any], file: Path) -> Any:
    """What stands under ``tool.xent.check``, or None."""
    found: Any = tables
    for key in ("tool", "xent", "check"):
        if not isinstance(found, dict):
            raise InputError(f"{file}: tool", "tables", type(found).__name__, "Repair it.")
        found = found.get(key)
        if found is None:
            return None
    return found


def _read(table: Any, file: Path) -> Selection:
    where = f"{file}: [tool.xent.check]"
    known = ("select", "extend-select", "ignore", "per-file-ignores", "exclude")
    if not isinstance(table, dict):
        raise InputError(where, "a table", type(table).__name__, "Write select = [...] below it.")
    for key in table:
        if key not in known:
            raise InputError(where, f"made of {', '.join(known)}", repr(key), "Remove that key.")
    ignores = table.get("per-file-ignores", {})
    if not isinstance(ignores, dict):
        raise InputError(f"{where} per-file-ignores", "a table", repr(ignores),
                         'Write per-file-ignores = {"tests/*" = ["XE1"]}.')  # fmt: skip
    return Selection(
        select=check_selectors(f"{where} select", _words(table, "select", where)),
        extend_select=check_selectors(
            f"{where} extend-select", _words(table, "extend-select", where)
        ),
        ignore=check_selectors(f"{where} ignore", _words(table, "ignore", where)),
        per_file_ignores=tuple(
            (pattern, check_selectors(where, _words(ignores, pattern, where)))
            for pattern in ignores
        ),
        exclude=_words(table, "exclude", where),
        root=str(file.parent),
    )


def _words(table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise InputError(
            f"{where} {key}", "a list of strings", repr(found), f'Write {key} = ["XE1"].'
        )
    return tuple(found)
