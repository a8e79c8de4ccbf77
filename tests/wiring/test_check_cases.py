"""Every sample gives the findings that it says, and no others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from case_pages import Sample, samples

from xent.wiring import RULES, check_paths

SAMPLES = samples()


def found_in(folder: Path) -> list[tuple[str, int | None, int, str]]:
    report = check_paths([folder], extend_select=["ALL"], jobs=1)
    assert report.problems == ()
    return sorted(
        (
            (
                Path(finding.place.path).relative_to(folder).as_posix(),
                finding.place.cell,
                finding.place.line,
                finding.code,
            )
            for finding in report.findings
        ),
        key=str,
    )


@pytest.mark.parametrize(
    "sample", SAMPLES, ids=[f"{each.code}-{each.kind}-{each.name}" for each in SAMPLES]
)
def test_a_sample_gives_what_it_says(sample: Sample, tmp_path: Path) -> None:
    sample.write(tmp_path)
    assert found_in(tmp_path) == list(sample.expected)


def test_every_rule_has_five_samples_of_each_kind() -> None:
    counted = Counter((each.code, each.kind) for each in SAMPLES)
    for code, rule in RULES.items():
        # Those of XE001 are in test_check_suppressions.py, those of run time in test_live_cases.py.
        if code != "XE001" and rule.found_in != "run time":
            assert counted[code, "Faulty"] >= 5, code
            assert counted[code, "Near misses"] >= 5, code


def test_a_faulty_sample_expects_its_rule_and_a_near_miss_does_not() -> None:
    for sample in SAMPLES:
        codes = {code for *_, code in sample.expected}
        assert (sample.code in codes) is (sample.kind == "Faulty"), (sample.code, sample.name)
