"""What ``xent.check`` takes, gives and leaves alone; what holds for every batch."""

from __future__ import annotations

import functools
import json
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

import xent
import xent.functional
import xent.nn
from xent.wiring import RULES, batch_of, findings
from xent.wiring._live import LiveReport, initial_loss_finding
from xent.wiring._live._given_loss import BY_NAME, given_loss, option_names

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 1.2, -0.7], [0.3, -0.4, 1.1], [1.0, 0.5, -2.0]])
TARGET = torch.tensor([0, 1, 2, 1])


# --- which loss is meant ---------------------------------------------------------------------

SAME = [
    "cross_entropy", "CrossEntropyLoss", "torch.nn.functional.cross_entropy",
    F.cross_entropy, xent.functional.cross_entropy, nn.CrossEntropyLoss(),
    xent.nn.CrossEntropyLoss(), functools.partial(F.cross_entropy, label_smoothing=0.1),
    functools.partial(functools.partial(F.cross_entropy, reduction="sum"), ignore_index=7),
    torch.compile(nn.CrossEntropyLoss(), backend="eager"),
    torch.compile(F.cross_entropy, backend="eager"),
]  # fmt: skip


@pytest.mark.parametrize("loss", SAME, ids=str)
def test_a_loss_is_known_in_every_form(loss: object) -> None:
    report = xent.check(loss, LOGITS.softmax(dim=1), TARGET, mode="report")
    assert report.codes == ("XE101",)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_loss_has_its_options_and_a_name_that_is_known(name: str) -> None:
    assert given_loss(name).loss.name == name
    assert isinstance(option_names(name), tuple)
    function = getattr(F, name, None)
    if function is not None:
        assert given_loss(function).loss.name == name


MODULES = [
    nn.BCELoss, nn.BCEWithLogitsLoss, nn.NLLLoss, nn.KLDivLoss, nn.MSELoss,
    nn.MultiLabelSoftMarginLoss, xent.nn.SigmoidFocalLoss, xent.nn.SoftmaxFocalLoss,
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_known_and_so_are_their_subclasses(module: type[nn.Module]) -> None:
    class Own(module):  # type: ignore[valid-type,misc]
        pass

    assert given_loss(Own()).loss == given_loss(module()).loss
    assert given_loss(Own()).label == "Own"


def test_options_are_read() -> None:
    weight = torch.ones(3)
    loss = nn.CrossEntropyLoss(weight=weight, ignore_index=2, label_smoothing=0.1)
    options = given_loss(loss).options
    assert options["weight"] is weight
    assert (options["ignore_index"], options["label_smoothing"]) == (2, 0.1)
    old = given_loss(functools.partial(F.nll_loss, size_average=False))
    assert old.options == {"reduction": "sum"}
    assert given_loss(nn.BCEWithLogitsLoss(pos_weight=weight)).options["pos_weight"] is weight


REFUSED = {
    "focal": (
        "focal",
        "check: loss must be the name of a loss, or a loss of torch or xent as function or module; "
        "got 'focal'. Did you mean 'log_loss'?",
    ),
    "a class": (nn.NLLLoss, "got the class NLLLoss. Make one: NLLLoss()."),
    "a function": (
        math.sqrt,
        "got math.sqrt. For a loss of your own give the name of the loss it ends in.",
    ),
    "another function of torch": (F.softmax, "got torch.nn.functional.softmax. For a loss of"),
    "a layer": (nn.Linear(2, 2), "got a Linear. For a loss of your own give the name"),
    "a number": (3, "got 3. Give \"cross_entropy\", for example."),
    "a partial with an input": (
        functools.partial(F.nll_loss, LOGITS),
        "got a partial with 1 positional arguments. Give options by name.",
    ),
    "a partial with an unknown option": (
        functools.partial(F.cross_entropy, weights=None),
        "a partial with options of cross_entropy; got weights. Did you mean weight?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_loss_is_refused(case: str) -> None:
    loss, words = REFUSED[case]
    if case == "focal":
        words = words.partition(" Did you mean")[0]
    with pytest.raises(xent.InputError) as caught:
        xent.check(loss, LOGITS, TARGET)
    assert words in str(caught.value)


def test_other_arguments_are_refused() -> None:
    with pytest.raises(xent.InputError, match="check: input must be a tensor or a NumPy array; "
                       r"got type list\. Use torch\.as_tensor\(input\)\."):  # fmt: skip
        xent.check("nll_loss", [[0.1]], TARGET)
    with pytest.raises(xent.InputError, match="one of 'warn', 'raise', 'report'; got 'error'"):
        xent.check("nll_loss", LOGITS, TARGET, mode="error")  # type: ignore[arg-type]
    for rows in (0, 2.5, "all", None, True):
        with pytest.raises(xent.InputError, match="check: most_rows must be a number of at least"):
            xent.check("nll_loss", LOGITS, TARGET, most_rows=rows)  # type: ignore[arg-type]
    words = "check: target must be as long as input, which has shape (4, 3); got shape (3,). Give"
    with pytest.raises(xent.InputError, match=re.escape(words)):
        xent.check("log_loss", LOGITS.softmax(1), TARGET[:3])
    with pytest.raises(xent.InputError, match="check: trained_with must be given with outputs"):
        xent.check("log_loss", LOGITS.softmax(1), TARGET, outputs=LOGITS)
    with pytest.raises(xent.ContractError, match="Did you swap input and target"):
        xent.check("cross_entropy", TARGET, LOGITS)


def test_arrays_that_torch_does_not_take_as_they_are() -> None:
    array = LOGITS.softmax(dim=1).numpy()
    read_only = array.copy()
    read_only.flags.writeable = False
    field = np.zeros(4, dtype=[("p", "f4", 3), ("mark", "i1")])
    field["p"] = array
    for input in (
        read_only,
        field["p"],
        array[::-1],
        array.astype(">f4"),
        array.astype(np.longdouble),
    ):
        report = xent.check("cross_entropy", input, TARGET.numpy(), mode="report")
        assert report.codes == ("XE101",)
    with pytest.raises(xent.InputError, match="check: target must be a tensor or a NumPy array of "
                       "numbers; got an array of dtype <U1"):  # fmt: skip
        xent.check("cross_entropy", array, np.array(list("abca")))


def test_tensors_of_several_lengths_are_refused() -> None:
    nested = torch.nested.nested_tensor(list(LOGITS), layout=torch.jagged)
    with pytest.raises(xent.InputError, match=r"check: input .* got a nested tensor"):
        xent.check("cross_entropy", nested, TARGET)


# --- what comes out --------------------------------------------------------------------------


def test_one_warning_for_each_fault_names_the_line_of_the_caller() -> None:
    target = TARGET + 5
    with pytest.warns(xent.LossWarning) as caught:
        report = xent.check("cross_entropy", LOGITS.softmax(dim=1), target)
    assert report.codes == ("XE101", "XE601")
    assert len(caught) == 2
    assert {each.filename for each in caught} == {__file__}
    assert str(caught[0].message) == (
        "XE101 softmax-into-cross-entropy: The rows of input are probabilities, and cross_entropy "
        "applies log_softmax itself: the loss can't go below 0.55 for 3 classes, and gradients are "
        "weak. In all 4 rows the numbers are >= 0 and sum to 1. Give it the logits."
    )


def test_notes_stay_in_the_report() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = xent.check("cross_entropy", LOGITS.log_softmax(dim=1), TARGET)
    assert report.codes == ("XE102",)
    assert report
    assert report.faults == ()


def test_raise_lists_every_fault() -> None:
    with pytest.raises(xent.WiringError) as caught:
        xent.check("cross_entropy", LOGITS.softmax(dim=1), TARGET + 5, mode="raise")
    lines = str(caught.value).splitlines()
    assert lines[0] == "cross_entropy, input (4, 3) float32, target (4,) int64:"
    assert [line.split()[1] for line in lines[1:]] == ["XE101", "XE601"]
    assert isinstance(caught.value, xent.XentError)
    assert isinstance(caught.value.report, LiveReport)
    assert xent.check("cross_entropy", LOGITS, TARGET, mode="raise")


def test_the_report_as_text() -> None:
    report = xent.check("nll_loss", LOGITS, TARGET, mode="report")
    assert (
        str(report)
        == """\
nll_loss, input (4, 3) float32, target (4,) int64: 1 error

XE107 logits-into-nll (error)
  nll_loss takes log-probabilities, and exp of the rows of input doesn't sum to
  1: without log_softmax the loss is no likelihood.
  Seen: The values go from -2 to 2, and exp of the rows sums to 4.502 to 9.406.
  Repair: Use log_softmax, or CrossEntropyLoss on the scores.

Right:
  Shapes and dtypes fit together: input (4, 3), target (4,). [XE202, XE204]
  All 4 targets lie in 0 to 2, for 3 classes. [XE601, XE602]
  There is no NaN, and no infinity that makes the loss NaN. [XE606]"""
    )


def test_the_page_shows_a_report_as_it_is() -> None:
    torch.manual_seed(0)
    probabilities, y = torch.randn(64, 10).softmax(dim=1), torch.arange(64) % 10
    report = xent.check("cross_entropy", probabilities, y, mode="report")
    page = Path(__file__).parents[2] / "docs" / "check.md"
    assert f"```text\n{report}\n```" in page.read_text(encoding="utf-8")


def test_what_is_right_is_said_and_why() -> None:
    report = xent.check("cross_entropy", LOGITS, TARGET)
    assert (
        "The 3 scores of all 4 rows go from -2 to 2 and are no probabilities: logits, as "
        "cross_entropy takes them, which applies log_softmax itself."
    ) in [each.because for each in report.checked]


def test_what_is_not_known_is_said_and_why() -> None:
    near = torch.tensor([[0.2, 0.7], [0.6, 0.3]])
    report = xent.check("cross_entropy", near, torch.tensor([0, 1]))
    assert report
    (unknown,) = report.not_checked
    assert unknown.codes == ("XE103",)
    assert unknown.because == (
        "All values lie between 0.2 and 0.7, as sigmoids do and as logits may: no gradient is "
        "recorded for it."
    )


def test_the_report_as_a_dict_is_json() -> None:
    report = xent.check("cross_entropy", LOGITS.softmax(dim=1), TARGET, mode="report")
    read = json.loads(json.dumps(report.to_dict()))
    assert read["findings"][0]["code"] == "XE101"
    assert read["findings"][0]["name"] == "softmax-into-cross-entropy"
    assert read["checked"][0]["codes"] == ["XE202", "XE204"]


def test_a_few_rows_tell_how_likely_chance_is() -> None:
    p = torch.tensor([[0.25, 0.75]])
    report = xent.check("cross_entropy", p.bfloat16(), torch.tensor([0]), mode="report")
    (finding,) = report.findings
    assert (finding.code, finding.level) == ("XE101", "note")
    assert "A right model shows this in about 1 of" in finding.evidence


# --- nothing is changed ----------------------------------------------------------------------


def test_nothing_is_changed() -> None:
    layer = nn.Linear(4, 3)
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    outputs = layer(x).softmax(dim=1)
    before, state = outputs.detach().clone(), torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    xent.check("cross_entropy", outputs, torch.arange(16) % 3, mode="report")
    assert torch.equal(outputs, before)
    assert outputs.grad_fn is not None
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # type: ignore[index]
    assert layer.weight.grad is None
    outputs.sum().backward()


def test_of_a_large_batch_some_rows_are_looked_at() -> None:
    logits = torch.randn(20_000, 5, generator=torch.Generator().manual_seed(0))
    batch = batch_of("cross_entropy", logits, torch.arange(20_000) % 5)
    assert len(batch.rows) == 4096
    assert any("4,096 of 20,000 rows were looked at" in each.because
               for each in findings(batch).not_checked)  # fmt: skip
    few = xent.check("cross_entropy", logits.softmax(1), torch.arange(20_000) % 5, most_rows=100,
                     mode="report")  # fmt: skip
    assert few.codes == ("XE101",)


def test_rows_are_those_that_count() -> None:
    """Against a loop over every position."""
    input = torch.randn(3, 4, 2, 5, generator=torch.Generator().manual_seed(0))
    target = torch.randint(4, (3, 2, 5), generator=torch.Generator().manual_seed(1))
    target[1, 1, 2:] = -100
    rows = batch_of("cross_entropy", input, target).rows
    wanted = [
        (input[n, :, i, j].double().numpy(), target[n, i, j])
        for n in range(3) for i in range(2) for j in range(5)
        if target[n, i, j] != -100
    ]  # fmt: skip
    assert np.array_equal(rows.values, np.stack([row for row, _ in wanted]))
    assert rows.target.tolist() == [int(goal) for _, goal in wanted]
    assert (rows.total, rows.ignored) == (30, 3)


@pytest.mark.parametrize("input", [torch.empty(0, 3), torch.empty(4, 3, device="meta")])
def test_without_values_shapes_are_checked_and_nothing_else(input: torch.Tensor) -> None:
    target = torch.zeros(input.shape[0], dtype=torch.long, device=input.device)
    report = xent.check("cross_entropy", input, target)
    assert report
    assert any("no values" in each.because for each in report.not_checked)


def test_values_inside_of_transforms_are_out_of_reach() -> None:
    def loss(logits: torch.Tensor) -> torch.Tensor:
        report = xent.check("cross_entropy", logits, TARGET)
        assert any("no values" in each.because for each in report.not_checked)
        return F.cross_entropy(logits, TARGET)

    torch.func.grad(loss)(LOGITS)
    torch.func.vmap(loss)(torch.stack([LOGITS, LOGITS]))
    with FakeTensorMode():
        report = xent.check("cross_entropy", torch.randn(4, 3), torch.zeros(4, dtype=torch.long))
    assert any("no values" in each.because for each in report.not_checked)


def test_a_weight_that_does_not_fit_is_no_loss_that_broadcasts() -> None:
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.ones(4))
    (finding,) = xent.check(loss, LOGITS, LOGITS.sigmoid(), mode="report").faults
    assert finding.code == "XE201"
    assert finding.evidence == "It has shape (4,)."


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int8])
def test_class_156_is_no_mark_in_unsigned_dtypes(dtype: torch.dtype) -> None:
    """156 is -100 in eight bits without a sign."""
    input = torch.randn(8, 200, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([156, 3, 156, 7, 0, 1, 2, 199]).clamp(max=torch.iinfo(dtype).max)
    report = xent.check(xent.functional.cross_entropy, input, target.to(dtype))
    assert report.codes == ()


def test_the_default_device_of_torch_is_not_used() -> None:
    with torch.device("meta"):
        report = xent.check("cross_entropy", LOGITS.repeat(9, 1), TARGET.repeat(9), most_rows=8)
    assert report
    assert any("8 of 36 rows" in each.because for each in report.not_checked)


# --- the first loss --------------------------------------------------------------------------


def test_the_first_loss_is_that_of_torch() -> None:
    """What is said of it is the number that the loss gives."""
    report = xent.check("cross_entropy", LOGITS, TARGET, initial=True)
    loss = F.cross_entropy(LOGITS, TARGET).item()
    assert any(f"The loss is {loss:.3g}, and guessing costs ln 3 = 1.1" in each.because
               for each in report.checked)  # fmt: skip


def test_a_first_loss_with_a_margin_is_neither_right_nor_wrong() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(32) % 10
    cosines = F.normalize(torch.randn(32, 10, generator=generator), dim=1)
    scores = 64 * (cosines - 2 * F.one_hot(target, 10))
    report = xent.check("cross_entropy", scores, target, initial=True)
    assert not any("XE604" in each.codes for each in report.checked)
    (unknown,) = report.not_checked
    assert unknown.codes == ("XE604", "XE605")
    assert "lowest score in nearly all rows" in unknown.because


def test_a_first_loss_that_was_measured_elsewhere() -> None:
    batch = batch_of("cross_entropy", LOGITS, TARGET)
    assert initial_loss_finding(math.log(3) + 2.4, batch) is None
    assert initial_loss_finding(float("nan"), batch) is None
    finding = initial_loss_finding(math.log(3) + 2.6, batch)  # 1 + 3 / sqrt(4 rows)
    assert finding is not None
    assert finding.code == "XE604"


# --- what holds for every batch --------------------------------------------------------------

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SHAPES = st.sampled_from([(), (3,), (2, 4)])


@st.composite
def batches(draw: st.DrawFn, least_rows: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Normal scores of any scale, ``(rows, classes, *positions)``, with classes."""
    rows = draw(st.integers(least_rows, 40))
    classes, positions = draw(st.integers(2, 12)), draw(SHAPES)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = draw(st.sampled_from([0.3, 1.0, 3.0]))
    scores = scale * torch.randn(rows, classes, *positions, generator=generator)
    target = torch.randint(classes, (rows, *positions), generator=generator)
    return scores.to(draw(st.sampled_from(DTYPES))), target


@settings(max_examples=150, deadline=None, derandomize=True)
@given(batches())
def test_a_right_batch_gives_no_fault(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    scores, target = batch
    labels = (scores.roll(1, 0) > 0).to(scores.dtype)
    for loss, input, goal in (
        ("cross_entropy", scores, target),
        ("nll_loss", scores.log_softmax(dim=1), target),
        ("binary_cross_entropy_with_logits", scores, labels),
        ("binary_cross_entropy", scores.sigmoid(), labels),
        ("kl_div", scores.log_softmax(dim=1), scores.roll(1, 0).softmax(dim=1)),
        ("cross_entropy", scores, scores.roll(1, 0).softmax(dim=1)),
        ("log_loss", scores.softmax(dim=1), target),
    ):
        assert xent.check(loss, input, goal), loss


@settings(max_examples=100, deadline=None, derandomize=True)
@given(batches(least_rows=8))
def test_a_double_softmax_is_always_found(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    scores, target = batch
    probabilities = scores.softmax(dim=1)
    found = xent.check("cross_entropy", probabilities, target, mode="report")
    assert "XE101" in found.codes
    assert not found
    assert "XE106" in xent.check("nll_loss", probabilities, target, mode="report").codes
    labels = (scores > 0).to(scores.dtype)
    twice = xent.check("binary_cross_entropy_with_logits", probabilities, labels, mode="report")
    assert "XE104" in twice.codes
    assert not twice


@settings(max_examples=100, deadline=None, derandomize=True)
@given(batches(), st.sampled_from(["cross_entropy", "nll_loss", "binary_cross_entropy", "kl_div",
                                   "binary_cross_entropy_with_logits", "log_loss", "mse_loss"]),
       st.sampled_from([(), (-1,), (1, -1), (-1, 1), (2, 3)]), st.booleans())  # fmt: skip
def test_any_tensors_give_a_report_or_an_input_error(
    batch: tuple[torch.Tensor, torch.Tensor], loss: str, shape: tuple[int, ...], spoilt: bool
) -> None:
    scores, target = batch
    if -1 in shape:
        target = target.reshape(shape)
    elif shape:
        target = target.new_zeros(shape)
    if spoilt:
        scores = scores.clone()
        scores[0] = float("nan")
        scores[-1] = float("-inf")
    try:
        report = xent.check(loss, scores, target, mode="report", initial=True)
    except xent.InputError:
        return
    assert str(report)
    assert set(report.codes) <= set(RULES)
