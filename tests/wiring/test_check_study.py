"""The two faults of the BCE-versus-CE study are found in code written in its manner.

One module is trained with cross-entropy on two logits, another with binary cross-entropy on one; a
shared function reads both with a sigmoid, and the log loss of what it gives is tabulated.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xent.wiring import Report, check_paths

IMPORTS = """\
import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
import torch.nn as nn
from sklearn.metrics import accuracy_score, log_loss
"""

SCORING = """\
def two_columns(p):
    return np.stack([1 - p, p]).transpose()


def scores_of(labels, probabilities) -> dict:
    return {
        "log loss": log_loss(labels, probabilities),  # scored
        "accuracy": accuracy_score(labels, probabilities[:, 1] > probabilities[:, 0]),
    }


def table(outputs: dict) -> pd.DataFrame:
    rows = []
    for name, (fitted, held_out) in outputs.items():
        row = scores_of(y_fitted, fitted)
        row.update(scores_of(y_held_out, held_out))
        row["name"] = name
        rows.append(row)
    return pd.DataFrame(rows)


def read(model, loader):
    model.eval()
    estimates = []
    with torch.no_grad():
        for features, _ in loader:
            scores = model(features)
            estimates.append(torch.nn.functional.sigmoid(scores))  # read
    return torch.cat(estimates)


def fit(model, epochs: int = 20, accelerator="auto"):
    pl.Trainer(max_epochs=epochs, accelerator=accelerator).fit(model, fit_loader, test_loader)


outputs = {}
"""

ONE_LOGIT = """\
class OneLogit(pl.LightningModule):
    def __init__(self, features: int, rate=0.01):
        super().__init__()
        self.layer = nn.Linear(features, 1)
        self.criterion = nn.BCEWithLogitsLoss()
        self.rate = rate

    def forward(self, x):
        return self.layer(x).flatten()

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = self.criterion(self(x), y)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.rate)


model = OneLogit(features=4, rate=0.1)
fit(model)
outputs["one logit"] = [
    two_columns(read(model, fit_loader)), two_columns(read(model, test_loader))
]
"""

TWO_LOGITS = """\
class TwoLogits(pl.LightningModule):
    def __init__(self, features: int, rate=0.01):
        super().__init__()
        self.layer = nn.Linear(features, 2)
        self.criterion = nn.CrossEntropyLoss()
        self.rate = rate

    def forward(self, x):
        return self.layer(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = self.criterion(self(x), y.type(torch.long))
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.rate)


model = TwoLogits(features=4, rate=0.1)
fit(model)
outputs["two logits"] = [read(model, fit_loader).numpy(), read(model, test_loader).numpy()]
"""
# One layer's output and the logit of the complement, side by side.
ONE_LOGIT_TWICE = TWO_LOGITS.replace("(features, 2)", "(features, 1)").replace(
    "return self.layer(x)",
    "x = self.layer(x)\n"
    "        complement = torch.special.logit(1 - torch.special.expit(x))\n"
    "        return torch.concat([complement, x], dim=1)",
)
SHOWN = "table(outputs)\n"
PARTS = (IMPORTS, SCORING, ONE_LOGIT, TWO_LOGITS, SHOWN)


def _as_notebook(folder: Path, parts: tuple[str, ...]) -> None:
    cells: list[dict[str, object]] = [{"cell_type": "markdown", "source": "# A comparison"}]
    cells += [{"cell_type": "code", "source": part.splitlines(keepends=True)} for part in parts]
    (folder / "study.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))


def _as_script(folder: Path, parts: tuple[str, ...]) -> None:
    (folder / "study.py").write_text("\n\n".join(parts))


def _in_files(folder: Path, parts: tuple[str, ...]) -> None:
    (folder / "scoring.py").write_text(IMPORTS + SCORING)
    (folder / "study.py").write_text("\n\n".join([IMPORTS, "from scoring import *\n", *parts[2:]]))


def _found(report: Report) -> set[tuple[str, str, str]]:
    assert report.problems == ()
    marked = set()
    for finding in report.findings:
        text = Path(finding.place.path).read_text()
        line = (
            SCORING.splitlines()[finding.place.line - 1]
            if finding.place.cell
            else text.splitlines()[finding.place.line - 1]
        )
        marked.add((finding.code, finding.level, line.rpartition("# ")[2]))
    return marked


@pytest.mark.parametrize("model", [TWO_LOGITS, ONE_LOGIT_TWICE])
@pytest.mark.parametrize("write", [_as_notebook, _as_script, _in_files])
def test_both_faults_are_found(write, model: str, tmp_path: Path) -> None:
    write(tmp_path, (IMPORTS, SCORING, ONE_LOGIT, model, SHOWN))
    report = check_paths([tmp_path], jobs=1)
    assert _found(report) == {("XE301", "error", "read"), ("XE113", "warning", "scored")}


def test_the_messages_name_both_ends(tmp_path: Path) -> None:
    _as_notebook(tmp_path, PARTS)
    sigmoid, score = sorted(
        check_paths([tmp_path], jobs=1).findings, key=lambda finding: finding.code, reverse=True
    )
    assert sigmoid.place.cell == score.place.cell == 3
    assert sigmoid.message == (
        "sigmoid (cell 3 line 28) of logits (cell 5 line 9) that are trained with "
        "CrossEntropyLoss (cell 5 line 13): the results don't sum to 1 over the classes and "
        "aren't its probabilities. Use softmax."
    )
    assert score.message == (
        "log_loss (cell 3 line 7) scores sigmoid (cell 3 line 28) of the outputs, but "
        "CrossEntropyLoss (cell 5 line 13) was minimised, whose probabilities are their "
        "softmax: the loss scored is not the loss minimised."
    )


def test_binary_cross_entropy_read_with_a_sigmoid_is_right(tmp_path: Path) -> None:
    _as_script(tmp_path, (IMPORTS, SCORING, ONE_LOGIT, SHOWN))
    assert check_paths([tmp_path], extend_select=["ALL"], jobs=1).findings == ()


def test_softmax_of_the_two_logits_is_right(tmp_path: Path) -> None:
    mended = SCORING.replace("functional.sigmoid(scores)", "functional.softmax(scores, dim=1)")
    _as_script(tmp_path, (IMPORTS, mended, TWO_LOGITS, SHOWN))
    assert check_paths([tmp_path], extend_select=["ALL"], jobs=1).findings == ()
