"""Training loops with a fault and without one, as they are written: what a watch says of them.

Data are fixed and models small. Each loop trains a few steps; the near misses are the ones that a
checker by names or by values alone reports.
"""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import xent
import xent.functional
import xent.nn

ROWS, FEATURES, CLASSES = 64, 6, 4


def data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, FEATURES, generator=generator)
    y = (x @ torch.randn(FEATURES, CLASSES, generator=generator)).argmax(1)
    return x, y


X, Y = data()
YES = (Y > 1).float()
LABELS = F.one_hot(Y, CLASSES).float()


def linear(outputs=CLASSES, *after):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(FEATURES, outputs), *after)


def train(model, step, steps=5):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        step().backward()
        optimizer.step()


def codes(model, step, **options):
    with xent.watch(model, mode="report", **options) as watched:
        train(model, step)
    assert watched.report.calls, "no call was seen"
    return {finding.code for finding in watched.report.faults}


FAULTY = {
    "softmax before cross-entropy": (
        "XE101", linear(CLASSES, nn.Softmax(dim=1)), lambda m: F.cross_entropy(m(X), Y)),
    "as a layer of the loss": (
        "XE101", linear(CLASSES, nn.Softmax(dim=1)), lambda m: nn.CrossEntropyLoss()(m(X), Y)),
    "into the loss of xent": (
        "XE101", linear(CLASSES, nn.Softmax(dim=1)),
        lambda m: xent.functional.cross_entropy(m(X), Y)),
    "into the layer of xent": (
        "XE101", linear(CLASSES, nn.Softmax(dim=1)), lambda m: xent.nn.CrossEntropyLoss()(m(X), Y)),
    "with an option of xent": (
        "XE101", linear(CLASSES, nn.Softmax(dim=1)),
        lambda m: xent.nn.CrossEntropyLoss(z_loss=1e-4)(m(X), Y)),
    "into a focal loss of xent": (
        "XE101", linear(CLASSES, nn.Softmax(dim=1)),
        lambda m: xent.nn.SoftmaxFocalLoss()(m(X), Y)),
    "sigmoid before the loss that applies it": (
        "XE104", linear(1, nn.Sigmoid()),
        lambda m: F.binary_cross_entropy_with_logits(m(X).squeeze(1), YES)),
    "probabilities into nll": (
        "XE106", linear(CLASSES, nn.Softmax(dim=1)), lambda m: F.nll_loss(m(X), Y)),
    "logits into nll": ("XE107", linear(), lambda m: F.nll_loss(m(X), Y)),
    "relu before cross-entropy": (
        "XE109", linear(CLASSES, nn.ReLU()), lambda m: F.cross_entropy(m(X), Y)),
    "one output": ("XE110", linear(1), lambda m: F.cross_entropy(m(X), YES[:, None])),
    "probabilities into kl_div": (
        "XE111", linear(CLASSES, nn.Softmax(dim=1)),
        lambda m: F.kl_div(m(X), LABELS, reduction="batchmean")),
    "mean squared error that broadcasts": (
        "XE201", linear(1), lambda m: F.mse_loss(m(X), YES)),
    "a loss of one's own that broadcasts": (
        "XE201", linear(1),
        lambda m: ((m(X) - YES) ** 2).mean() + 0 * F.mse_loss(m(X)[:, 0], YES)),
    "the same, the other way round": (
        "XE201", linear(1),
        lambda m: ((YES[:, None] - m(X)[:, 0]) ** 2).mean() + 0 * F.mse_loss(m(X)[:, 0], YES)),
    "labels of several classes": (
        "XE203", linear(), lambda m: F.cross_entropy(m(X), (LABELS + LABELS.roll(1, 1)))),
    "all targets ignored": (
        "XE602", linear(), lambda m: F.cross_entropy(m(X), torch.full_like(Y, -100))),
    "initial logits far too large": (
        "XE604", linear(), lambda m: F.cross_entropy(100 * m(X), Y)),
    "a factor of 0": ("XE608", linear(), lambda m: 0.0 * F.cross_entropy(m(X), Y)),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
@pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
def test_faulty_loops(name):
    code, model, step = FAULTY[name]
    model = copy.deepcopy(model)
    assert code in codes(model, lambda: step(model))


class Attention(nn.Module):
    """Softmax and sigmoid inside, logits outside."""

    def __init__(self):
        super().__init__()
        self.query, self.value = nn.Linear(FEATURES, 4), nn.Linear(FEATURES, 4)
        self.gate, self.head = nn.Linear(FEATURES, 4), nn.Linear(4, CLASSES)

    def forward(self, x):
        weights = F.softmax(self.query(x) @ self.query(x).t(), dim=-1)
        return self.head(torch.sigmoid(self.gate(x)) * (weights @ self.value(x)))


def focal(model):
    probabilities = F.softmax(model(X), dim=1)
    picked = -F.nll_loss(probabilities, Y, reduction="none")
    return ((1 - picked) ** 2 * F.cross_entropy(model(X), Y, reduction="none")).mean()


class TwoOutputs(nn.Module):
    """Logits and, beside them, probabilities."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(FEATURES, CLASSES)

    def forward(self, x):
        scores = self.head(x)
        return scores, F.softmax(scores, dim=1)


class LossInside(nn.Module):
    """Computes its loss itself, as those of transformers do."""

    def __init__(self, *after):
        super().__init__()
        self.head = linear(CLASSES, *after)

    def forward(self, x, labels):
        return F.cross_entropy(self.head(x), labels)


def distil(model, teacher):
    with torch.no_grad():
        soft = F.softmax(teacher(X) / 2, dim=1)
    student = F.log_softmax(model(X) / 2, dim=1)
    return 4 * F.kl_div(student, soft, reduction="batchmean") + F.cross_entropy(model(X), Y)


def heads(model):
    hidden = model(X)
    return F.cross_entropy(hidden, Y) + 0.3 * F.binary_cross_entropy_with_logits(hidden[:, 0], YES)


def pairs(model):
    """RankNet: every output is meant to be held against every other one."""
    scores = model(X).squeeze(1)
    difference = scores[:, None] - scores
    wins = (YES[:, None] - YES + 1) / 2
    return F.binary_cross_entropy_with_logits(difference, wins)


def contrast(model):
    """InfoNCE: rows of similarities, and the row's own number as the class."""
    codes = F.normalize(model(X), dim=1)
    return F.cross_entropy(codes @ codes.detach().t() / 0.5, torch.arange(ROWS))


def autocast(model):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return F.cross_entropy(model(X), Y)


TEACHER = linear()

NEAR_MISSES = {
    "logits": (linear(), lambda m: F.cross_entropy(m(X), Y)),
    "log-probabilities into nll": (
        linear(CLASSES, nn.LogSoftmax(dim=1)), lambda m: F.nll_loss(m(X), Y)),
    "sigmoid into bce": (
        linear(1, nn.Sigmoid()), lambda m: F.binary_cross_entropy(m(X).squeeze(1), YES)),
    "attention": (Attention(), lambda m: F.cross_entropy(m(X), Y)),
    "focal by gathering": (linear(), focal),
    "the first of two outputs": (TwoOutputs(), lambda m: F.cross_entropy(m(X)[0], Y)),
    "log of the second of two outputs": (
        TwoOutputs(), lambda m: F.nll_loss(m(X)[1].clamp(min=1e-8).log(), Y)),
    "distillation": (linear(), lambda m: distil(m, TEACHER)),
    "distillation with logarithms": (
        linear(), lambda m: F.kl_div(F.log_softmax(m(X), 1), F.log_softmax(TEACHER(X), 1).detach(),
                                     log_target=True, reduction="batchmean")),
    "label smoothing": (linear(), lambda m: F.cross_entropy(m(X), Y, label_smoothing=0.1)),
    "soft targets": (linear(), lambda m: F.cross_entropy(m(X), 0.9 * LABELS + 0.1 / CLASSES)),
    "probabilities of a teacher": (
        linear(), lambda m: F.cross_entropy(m(X), TEACHER(X).softmax(1).detach())),
    "two heads": (linear(), heads),
    "several labels": (
        linear(), lambda m: F.binary_cross_entropy_with_logits(m(X), LABELS)),
    "pairs": (linear(1), pairs),
    "contrast": (linear(), contrast),
    "autocast": (linear(), autocast),
    "a loss in the model": (LossInside(), lambda m: m(X, Y)),
    "weights of the loss": (
        linear(), lambda m: F.cross_entropy(m(X), Y, weight=torch.tensor([1.0, 2.0, 1.0, 0.5]))),
    "a few targets ignored": (
        linear(), lambda m: F.cross_entropy(m(X), torch.where(torch.arange(ROWS) < 9, -100, Y))),
    "each position": (
        nn.Sequential(nn.Unflatten(1, (3, 2)), nn.Conv1d(3, CLASSES, 1)),
        lambda m: F.cross_entropy(m(X), torch.stack([Y, Y], 1))),
    "the loss of xent": (linear(), lambda m: xent.functional.cross_entropy(m(X), Y, z_loss=1e-4)),
    "regression": (linear(1), lambda m: F.mse_loss(m(X).squeeze(1), X[:, 0])),
    "distances of pairs": (
        linear(1),
        lambda m: (m(X) - m(X).detach().t()).pow(2).mean() + F.mse_loss(m(X)[:, 0], YES)),
    "policy gradient": (
        linear(), lambda m: -(torch.distributions.Categorical(logits=m(X)).log_prob(Y)
                              * (YES - 0.5)).mean() + 0 * F.cross_entropy(m(X), Y)),
    "each output against each target": (
        linear(1),
        lambda m: (m(X)[:, 0][:, None] - YES).abs().mean() + F.mse_loss(m(X)[:, 0], YES)),
    "accumulation": (linear(), lambda m: F.cross_entropy(m(X[:8]), Y[:8]) / 4),
    "sum": (linear(), lambda m: F.cross_entropy(m(X), Y, reduction="sum")),
}  # fmt: skip


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_near_misses(name):
    model, step = NEAR_MISSES[name]
    assert codes(model, lambda: step(model)) == set()


def test_a_loss_in_the_model_is_seen():
    model = LossInside(nn.Softmax(dim=1))
    assert "XE101" in codes(model, lambda: model(X, Y))


def gan(last):
    """Two models, two optimizers, three losses a step."""
    maker, judge = linear(FEATURES), linear(1, *last)
    of_maker = torch.optim.SGD(maker.parameters(), 0.1)
    of_judge = torch.optim.SGD(judge.parameters(), 0.1)
    with xent.watch(maker, judge, mode="report") as watched:
        for _ in range(5):
            made = maker(X)
            of_judge.zero_grad()
            real = F.binary_cross_entropy_with_logits(judge(X), torch.ones(ROWS, 1))
            real.backward()
            F.binary_cross_entropy_with_logits(
                judge(made.detach()), torch.zeros(ROWS, 1)
            ).backward()
            of_judge.step()
            of_maker.zero_grad()
            F.binary_cross_entropy_with_logits(judge(made), torch.ones(ROWS, 1)).backward()
            of_maker.step()
    assert not watched.is_on
    return watched.report


def test_a_gan():
    report = gan([])
    assert bool(report), str(report)
    # Three lines call the loss; the watch ends in the third step, after the first of them.
    assert report.calls == {"binary_cross_entropy_with_logits": 7}
    assert "XE104" in gan([nn.Sigmoid()]).codes
    assert len([each for each in gan([nn.Sigmoid()]).findings if each.code == "XE104"]) == 3


def test_gradient_accumulation_and_a_scaler():
    model = linear(CLASSES, nn.Softmax(dim=1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu")
    with xent.watch(model, mode="report") as watched:
        for step in range(8):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(model(X[step : step + 32]), Y[step : step + 32])
            scaler.scale(loss / 4).backward()
            if step % 4 == 3:
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
    assert watched.report.batches == 3
    assert watched.report.codes[0] == "XE101"


def test_evaluation_that_gives_the_loss_another_thing():
    model = linear()
    with xent.watch(model, mode="report") as watched:
        for _ in range(2):
            F.cross_entropy(model(X), Y).backward()
            with torch.no_grad():
                F.cross_entropy(F.softmax(model(X), dim=1), Y)
    found = watched.report.faults
    assert [each.code for each in found] == ["XE113"]
    assert "In evaluation cross_entropy is given another thing than in training" in str(found[0])
    assert "(test_watch_loops.py:" in str(found[0])


def test_an_evaluation_after_the_watch_is_not_seen_and_it_is_said():
    def run(batches):
        model = linear()
        with xent.watch(model, mode="report", batches=batches) as watched:
            for _ in range(4):
                F.cross_entropy(model(X), Y).backward()
            with torch.no_grad():
                F.cross_entropy(F.softmax(model(X), dim=1), Y)
        return watched.report

    report = run(3)
    assert report.codes == ()
    assert any(
        unknown.codes[0] == "XE113" and "No call of a loss in evaluation" in unknown.because
        for unknown in report.not_checked
    )
    report = run(None)
    assert report.codes == ("XE113",)
    assert not any("No call" in unknown.because for unknown in report.not_checked)


def test_the_same_fault_in_evaluation_is_no_difference():
    model = linear(CLASSES, nn.Softmax(dim=1))
    with xent.watch(model, mode="report") as watched:
        for _ in range(2):
            F.cross_entropy(model(X), Y).backward()
            with torch.no_grad():
                F.cross_entropy(model(X), Y)
    assert {each.code for each in watched.report.faults} == {"XE101"}


def evaluated(score):
    model = linear(2)
    yes = (Y > 1).long()
    with xent.watch(model, mode="report") as watched:
        for _ in range(2):
            F.cross_entropy(model(X), yes).backward()
            with torch.no_grad():
                F.binary_cross_entropy(*score(model(X), yes))
    return [each.code for each in watched.report.faults]


def test_evaluation_by_another_loss_than_that_of_the_training():
    one_hot = lambda y: F.one_hot(y, 2).float()  # noqa: E731
    assert evaluated(lambda z, y: (torch.sigmoid(z), one_hot(y))) == ["XE301"]
    assert evaluated(lambda z, y: (F.softmax(z, dim=1), one_hot(y))) == []
    assert evaluated(lambda z, y: (F.softmax(z, dim=1)[:, 1], y.float())) == []
    # Of other columns than the classes, another task is evaluated.
    assert evaluated(lambda z, y: (torch.sigmoid(z[:, [0, 1, 0]]), torch.ones(ROWS, 3))) == []


def test_a_difference_that_broadcasts_is_told_in_its_words():
    model = linear(1)
    with xent.watch(model, mode="report") as watched:
        ((model(X) - YES) ** 2).mean().backward()
    (found,) = watched.report.faults
    assert str(found) == (
        "XE201 bce-shape-mismatch: A difference of outputs and targets is taken of unequal "
        f"shapes. Output has shape ({ROWS}, 1) and target ({ROWS},). They broadcast to ({ROWS}, "
        f"{ROWS}): each prediction is held against every target. Use output.squeeze(-1)."
    )


def test_a_model_that_gets_no_gradient():
    model = nn.Sequential(linear(), nn.Threshold(1e9, 0.0))
    head = nn.Linear(CLASSES, CLASSES)
    with xent.watch(model, mode="report") as watched:
        for _ in range(4):
            F.cross_entropy(head(model(X)), Y).backward()
    dead = [each for each in watched.report.findings if each.code == "XE608"]
    assert len(dead) == 1
    assert dead[0].path == ""
    assert str(dead[0]).startswith(
        "XE608 dead-gradient: The gradient of all parameters is exactly 0"
    )


def test_losses_that_settle_where_a_double_softmax_does():
    # Shifted rows: neither their values nor the graph show the softmax.
    torch.manual_seed(0)
    model = linear()
    x = torch.eye(CLASSES).repeat(4, 2)[:, :FEATURES]
    y = torch.arange(CLASSES).repeat(4)
    optimizer = torch.optim.Adam(model.parameters(), 0.5)

    def train(hide):
        with xent.watch(model, batches=None, mode="report", ignore=("XE1",)) as watched:
            for _ in range(300):
                optimizer.zero_grad()
                F.cross_entropy(hide(model(x)), y).backward()
                optimizer.step()
            assert watched.is_on
        return watched.report.codes

    assert "XE607" in train(lambda scores: F.softmax(scores, dim=1) + 3.0)
    assert "XE607" not in train(lambda scores: scores)


def test_loops_give_the_same_numbers_with_a_watch():
    def trained(is_watched, loss):
        model = linear()
        if is_watched:
            with xent.watch(model, mode="report"):
                train(model, lambda: loss(model(X), Y))
        else:
            train(model, lambda: loss(model(X), Y))
        return model.state_dict()["0.weight"]

    from xent.functional import cross_entropy as taken_before

    for loss in (F.cross_entropy, xent.nn.CrossEntropyLoss(), taken_before):
        assert torch.equal(trained(True, loss), trained(False, loss))


def test_the_loss_of_xent_keeps_its_arithmetic():
    # PyTorch's own gives exactly 0 here.
    from xent.functional import cross_entropy as taken_before

    model = linear()
    sure = torch.tensor([[40.0, 0.0]], requires_grad=True)
    with xent.watch(model, mode="report"):
        losses = [
            loss(sure, torch.tensor([0])).item()
            for loss in (taken_before, xent.functional.cross_entropy, xent.nn.CrossEntropyLoss())
        ]
    assert losses == [pytest.approx(4.248354e-18, rel=1e-5)] * 3


def test_no_warning_of_python_or_torch_is_caused():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = linear()
        with xent.watch(model):
            train(model, lambda: F.cross_entropy(model(X), Y))
