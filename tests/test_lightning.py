"""The callback for Lightning, in runs of its trainer."""

import logging
import os
import pickle
import subprocess
import sys
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils.data import DataLoader, TensorDataset

import xent

host = pytest.importorskip("pytorch_lightning", reason="the extra xent[lightning] is missing")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

# What Lightning itself says of a run as small as these.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*number of training batches"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `srun` command:UserWarning"),
]

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(64) % 4


def unchanged(scores):
    return scores


class Classifier(host.LightningModule):
    """Its functions say what stands before the loss in training and in validation."""

    def __init__(self, training=unchanged, validation=unchanged):
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Linear(6, 4)
        self.before = {"training": training, "validation": validation}
        self.modes = []

    def training_step(self, batch, index):
        x, y = batch
        self.modes.append(len(_get_current_function_mode_stack()))
        return F.cross_entropy(self.before["training"](self.layer(x)), y)

    def validation_step(self, batch, index):
        x, y = batch
        F.cross_entropy(self.before["validation"](self.layer(x)), y)

    def on_train_batch_end(self, outputs, batch, index):
        self.modes.append(len(_get_current_function_mode_stack()))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def probabilities(scores):
    return F.softmax(scores, dim=1)


def run(model, check, epochs=1, **options):
    loader = DataLoader(TensorDataset(X, Y), batch_size=8)
    trainer = host.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, logger=False, callbacks=[check],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        **options,
    )  # fmt: skip
    trainer.fit(model, loader, loader)
    return trainer


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = xent.functional.cross_entropy
    yield
    assert _get_current_function_mode_stack() == []
    assert xent.functional.cross_entropy is before


def check(**options):
    from xent.lightning import LossCheck

    return LossCheck(**options)


def codes(model, **options):
    watched = check(mode="report", **options)
    run(model, watched)
    return {finding.code for finding in watched.report.faults}


def test_right_runs():
    assert codes(Classifier()) == set()


def test_softmax_before_the_loss():
    assert codes(Classifier(probabilities, probabilities)) == {"XE101"}


def test_softmax_before_the_loss_in_validation_only():
    watched = check(mode="report")
    run(Classifier(validation=probabilities), watched)
    (fault,) = watched.report.faults
    assert fault.code == "XE113"
    assert "In evaluation cross_entropy is given another thing than in training" in str(fault)


def test_one_warning_that_names_the_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(Classifier(probabilities), check())
    (warning,) = [each for each in caught if issubclass(each.category, xent.LossWarning)]
    assert warning.filename == __file__
    assert str(warning.message).startswith("XE101 softmax-into-cross-entropy: ")


def test_it_is_off_after_the_first_batches():
    model, watched = Classifier(), check(batches=2, mode="report")
    run(model, watched, epochs=2)
    # At the beginning and at the end of each of 16 steps: on inside of the first two.
    assert model.modes[::2] == [1, 1] + 14 * [0]
    assert set(model.modes[1::2]) == {0}
    assert watched.report.batches == 2
    assert watched.report.calls == {"cross_entropy": 4}


def test_raising_stops_the_run():
    with pytest.raises(xent.WiringError, match=r"test_lightning.py:\d+, batch 1: XE101"):
        run(Classifier(probabilities), check(mode="raise"))


def test_a_second_run_begins_anew():
    watched = check(mode="report")
    run(Classifier(probabilities), watched)
    run(Classifier(), watched)
    assert watched.report.codes == ()


def test_the_first_loss_of_a_new_model_only(tmp_path):
    def far(scores):
        return 200 * scores

    assert "XE604" in codes(Classifier(far, far))
    trainer = run(Classifier(), check(mode="report"))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    watched = check(mode="report")
    loader = DataLoader(TensorDataset(X, Y), batch_size=8)
    again = host.Trainer(
        max_epochs=2, accelerator="cpu", devices=1, logger=False, callbacks=[watched],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    again.fit(Classifier(far, far), loader, loader, ckpt_path=tmp_path / "model.ckpt")
    assert watched.report.batches == 3
    assert "XE604" not in watched.report.codes


def test_losses_that_settle_where_a_double_softmax_does():
    class Separable(Classifier):
        def training_step(self, batch, index):
            x = F.one_hot(batch[1], 6).float()
            return F.cross_entropy(probabilities(self.layer(x)) + 3.0, batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.5)

    watched = check(mode="report", floor=True, ignore=("XE1",))
    run(Separable(), watched, epochs=30, limit_val_batches=0)
    assert watched.report.codes == ("XE607",)


def test_a_dead_gradient():
    assert codes(Classifier(lambda scores: 0.0 * scores)) == {"XE608"}


class OwnLoss(Classifier):
    def training_step(self, batch, index):
        return self.layer(batch[0]).square().mean()

    def validation_step(self, batch, index):
        pass


def test_a_run_without_a_loss():
    with pytest.warns(xent.LossWarning, match="No call of a loss was seen."):
        run(OwnLoss(), check())
    with pytest.raises(xent.InputError, match="LossCheck: the run must be one that calls a loss"):
        run(OwnLoss(), check(mode="raise"))


def test_report_before_a_run():
    with pytest.raises(xent.InputError, match=r"Call Trainer\.fit first\."):
        check().report  # noqa: B018


@pytest.mark.parametrize(
    "options", [{"batches": 0}, {"batches": None}, {"mode": "error"}, {"ignore": "XE1"}]
)
def test_bad_options(options):
    (name,) = options
    with pytest.raises(xent.InputError, match=f"LossCheck: {name} must be"):
        check(**options)


def test_callbacks_can_be_pickled_after_a_run():
    watched = check(mode="report", batches=5)
    run(Classifier(), watched)
    assert pickle.loads(pickle.dumps(watched)).batches == 5


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip


def test_the_host_is_imported_by_its_adapter_only():
    ended = python(
        "import sys, xent, xent.wiring\n"
        "xent.watch, xent.check\n"
        "assert not {'lightning', 'pytorch_lightning', 'xent.lightning'} & set(sys.modules)"
    )
    assert ended.returncode == 0, ended.stderr


def test_without_a_host():
    ended = python(
        "import sys\n"
        "sys.modules |= dict.fromkeys(('lightning', 'pytorch_lightning'))\n"
        "import xent.lightning"
    )
    assert ended.stderr.splitlines()[-1] == (
        "xent._errors.MissingExtraError: xent.lightning needs pytorch-lightning, which is not "
        "installed. Run: pip install 'xent[lightning]'"
    )


def test_the_other_host():
    # The package that is called lightning has the same classes under another name. Where it is
    # imported already it is meant.
    ended = python(
        "import sys, types\n"
        "names = 'lightning', 'lightning.pytorch', 'lightning.pytorch.callbacks'\n"
        "sys.modules |= {name: types.ModuleType(name) for name in names}\n"
        "class Callback: pass\n"
        "sys.modules[names[-1]].Callback = Callback\n"
        "from xent.lightning import LossCheck\n"
        "assert issubclass(LossCheck, Callback)\n"
        "assert 'pytorch_lightning' not in sys.modules"
    )
    assert ended.returncode == 0, ended.stderr
