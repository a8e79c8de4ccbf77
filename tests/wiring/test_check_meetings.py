"""What is found depends neither on the order of files, nor on processes, nor on other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from xent.wiring import Report, check_paths
from xent.wiring._files._meetings import MOST_TOGETHER, meetings
from xent.wiring._files._reading import Reading

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
MODEL = (
    HEAD
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(x)


net = Net()
criterion = nn.CrossEntropyLoss()
"""
)
TRAIN = (
    HEAD + "from model import net, criterion\n\n\ndef train(x, y):\n    return {loss}(net(x), y)\n"
)
EVALUATE = HEAD + "from model import net\n\n\ndef predict(x):\n    return torch.sigmoid(net(x))\n"
FILLER = (
    HEAD
    + """
from model import Net


class Other{number}(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(x)


def step(x, y):
    return F.cross_entropy(Other{number}()(x), y)
"""
)
FAULT = HEAD + "loss = F.cross_entropy(z.softmax(1), y)\n"


def write(folder: Path, **texts: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)


def findings(report: Report) -> list[tuple[object, ...]]:
    return sorted(
        (Path(found.place.path).stem.rpartition("_")[2], found.place.line, found.code)
        for found in report.findings
    )


EXPECTED = [("evaluate", 8, "XE301"), ("wrong", 4, "XE101")]


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two projects of 104 files: in one those that belong together are neighbours."""
    near, far = tmp_path_factory.mktemp("near"), tmp_path_factory.mktemp("far")
    train = TRAIN.format(loss="criterion")
    write(near, model=MODEL, m_train=train, m_evaluate=EVALUATE, m_wrong=FAULT)
    write(far, model=MODEL, a_train=train, z_evaluate=EVALUATE, k_wrong=FAULT)
    for number in range(100):
        for folder in (near, far):
            write(folder, **{f"f{number}": FILLER.format(number=number)})
    return near, far


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_findings_do_not_depend_on_neighbours_or_processes(
    jobs: int, projects: tuple[Path, Path]
) -> None:
    for folder in projects:
        report = check_paths([folder], jobs=jobs)
        assert report.files == 104
        assert findings(report) == EXPECTED


def test_the_report_is_the_same_for_any_number_of_processes(projects: tuple[Path, Path]) -> None:
    alone = check_paths([projects[1]], jobs=1)
    assert check_paths([projects[1]], jobs=2) == alone


def test_what_another_file_does_with_a_model_takes_a_finding_back(tmp_path: Path) -> None:
    both = EVALUATE + "\n\ndef fit(x, y):\n    return F.cross_entropy(net(x), y)\n"
    write(tmp_path, model=MODEL, evaluate=both)
    assert findings(check_paths([tmp_path])) == [("evaluate", 8, "XE301")]
    # Trained as yes or no per class too: then sigmoid may be meant.
    write(tmp_path, train=TRAIN.format(loss="F.binary_cross_entropy_with_logits"))
    assert findings(check_paths([tmp_path])) == []


def test_files_that_do_not_ask_are_read_once(tmp_path: Path) -> None:
    write(tmp_path, model=MODEL)
    for number in range(3):
        write(tmp_path, **{f"train{number}": TRAIN.format(loss="F.cross_entropy")})
    seen: list[tuple[int, int]] = []
    report = check_paths([tmp_path], progress=lambda *numbers: seen.append(numbers))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert report.read == 4
    assert [(found.is_right, found.place.line) for found in report.explanations] == [(True, 8)] * 3


def reading(losses: str, asked: str) -> Reading:
    return Reading(losses=tuple(losses), asked=tuple(asked))


def groups(**readings: tuple[str, str]) -> list[str]:
    found = meetings({Path(name): reading(*keys) for name, keys in readings.items()})
    return ["".join(map(str, group)) for group in found]


def test_who_meets() -> None:
    assert groups(a=("m", ""), b=("", "m"), c=("m", "")) == ["abc"]
    assert groups(a=("m", ""), b=("m", "")) == []  # nobody asks
    assert groups(a=("", "m"), b=("", "m")) == []  # nobody answers
    assert groups(a=("m", "m")) == []  # alone
    assert groups(a=("m", ""), b=("n", "m"), c=("", "n"), d=("o", "")) == ["abc"]
    assert groups(d=("m", ""), a=("n", ""), c=("", "m"), b=("", "n")) == ["dc", "ab"]


def test_large_groups_are_cut_by_model() -> None:
    names = [Path(f"{number}") for number in range(100)]
    found = {name: Reading(losses=("all",), asked=()) for name in names}
    found[names[0]] = Reading(asked=("all", "some"))
    found[names[99]] = Reading(losses=("some",))
    pieces = meetings(found)
    assert (names[0], names[99]) in pieces
    assert max(map(len, pieces)) == MOST_TOGETHER
    assert {path for piece in pieces for path in piece} == set(names)


def test_a_model_and_a_loss_that_both_come_from_other_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        losses="import torch.nn as nn\n\nloss_fn = nn.CrossEntropyLoss()\n",
        model=MODEL.replace("self.fc(x)", "self.fc(x).softmax(1)"),
        train="from losses import loss_fn\nfrom model import net\nloss = loss_fn(net(x), y)\n",
    )
    assert findings(check_paths([tmp_path])) == [("train", 3, "XE101")]
