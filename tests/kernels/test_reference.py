"""The losses in plain PyTorch against mpmath: values, gradients and second derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import pytest
import torch
from mpmath import mpf
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from xent import kernels
from xent.kernels import ElementSettings, OutOfRange, RowSettings
from xent.kernels import _reference as reference

inf, nan = math.inf, math.nan
mpmath.mp.dps = 60

DTYPES = [torch.float32, torch.float64]
EACH_ROW = RowSettings("none")
EACH = ElementSettings("none")

# Units in the last place that exponential, sum and logarithm cost together, at most.
UNITS = 3.0

ROWS = [
    [0.0, 0.0],
    [0.1, 15.3],
    [-3.7, 17.01],
    [80.3, -0.7],
    [1e4, -1e4],
    [9999.5, 9999.3],
    [-1e4, -1e4 + 0.1],
    [0.1, 0.2, 0.3],
    [1e-7, 0.0, -1e-7],
    [2.3, 31.7, -14.1],
    [40.2, 40.2, 3.3],
    [-5.0, 10.0, 1.2, 3.0, -4.0],
    [0.3, -inf, 2.7],
    [*(0.01 * k for k in range(50)), 21.3],
]


def assert_units(values: Tensor, exact: list[mpf], units: float, scale: float = 0.0) -> None:
    """Within so many units in the last place of the exact value, or of a larger ``scale``."""
    eps, tiny = torch.finfo(values.dtype).eps, torch.finfo(values.dtype).tiny
    for value, truth in zip(values.flatten().tolist(), exact, strict=True):
        if mpmath.isinf(truth):
            assert value == truth
            continue
        # An exponent's worth of slack: a unit is between eps / 2 and eps of the value.
        allowed = units * eps * max(abs(truth), scale) + tiny
        assert abs(value - truth) <= allowed, (value, mpmath.nstr(truth, 17))


def exact_rows(rows: Tensor, target: int) -> tuple[mpf, list[mpf]]:
    logits = [mpf(logit) for logit in rows.tolist()]
    powers = [mpmath.exp(logit - logits[target]) for logit in logits]
    others = mpmath.fsum(power for c, power in enumerate(powers) if c != target)
    slopes = [power / (1 + others) for power in powers]
    slopes[target] = -others / (1 + others)
    return mpmath.log1p(others), slopes


def with_gradient(loss: Callable[[Tensor], Tensor], input: Tensor) -> tuple[Tensor, Tensor]:
    input = input.detach().requires_grad_()
    value = loss(input)
    return value.detach(), torch.autograd.grad(value.sum(), input)[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("logits", ROWS)
class TestRows:
    def test_every_target(self, logits: list[float], dtype: torch.dtype) -> None:
        row = torch.tensor(logits, dtype=dtype)
        for target, logit in enumerate(logits):
            if logit == -inf:
                continue
            value, gradient = with_gradient(
                lambda x, y=target: reference.softmax_loss(
                    x, torch.tensor(y), None, None, EACH_ROW
                ),
                row,
            )
            exact, slopes = exact_rows(row, target)
            assert_units(value, [exact], UNITS)
            assert_units(gradient, slopes, UNITS)

    def test_one_hot_probabilities(self, logits: list[float], dtype: torch.dtype) -> None:
        row = torch.tensor(logits, dtype=dtype)
        target = row.argmax()
        one_hot = torch.zeros_like(row).scatter(0, target, 1.0)
        value, gradient = with_gradient(
            lambda x: reference.soft_target_loss(x, one_hot, None, None, EACH_ROW), row
        )
        exact, slopes = exact_rows(row, int(target))
        assert_units(value, [exact], UNITS)
        assert_units(gradient, slopes, UNITS)

    def test_statistics(self, logits: list[float], dtype: torch.dtype) -> None:
        row = torch.tensor(logits, dtype=dtype)
        found = reference.softmax_statistics(row, row.argmax(), -100)
        numbers = [mpf(logit) for logit in row.tolist()]
        log_sum_exp = mpmath.log(mpmath.fsum(map(mpmath.exp, numbers)))
        surprises = [log_sum_exp - number for number in numbers]
        entropy = mpmath.fsum(mpmath.exp(-nll) * nll for nll in surprises if not mpmath.isinf(nll))
        assert_units(found.log_sum_exp, [log_sum_exp], UNITS)
        assert_units(found.entropy, [entropy], 8.0)
        assert found.prediction == row.argmax()

    def test_no_gradient_of_either_order_is_nan(
        self, logits: list[float], dtype: torch.dtype
    ) -> None:
        row = torch.tensor(logits, dtype=dtype, requires_grad=True)
        target = torch.tensor(logits).argmax()
        for settings in (EACH_ROW, RowSettings("none", z_loss=1e-9)):
            loss = reference.softmax_loss(row, target, None, None, settings)
            (gradient,) = torch.autograd.grad(loss, row, create_graph=True)
            (second,) = torch.autograd.grad(gradient.square().sum(), row)
            assert gradient.isfinite().all()
            assert second.isfinite().all()


LOGITS = [0.0, 1e-30, -1e-8, 0.3, -0.7, 2.0, -5.5, 15.0, -15.0, 18.0, -40.0, 60.0, -80.0, 1e4]


def softplus(x: mpf) -> mpf:
    return mpmath.log1p(mpmath.exp(x))


def sigmoid(x: mpf) -> mpf:
    return 1 / (1 + mpmath.exp(-x))


@pytest.mark.parametrize("dtype", DTYPES)
class TestElements:
    @pytest.mark.parametrize("label", [0.0, 1.0])
    def test_logits_to_the_second_derivative(self, label: float, dtype: torch.dtype) -> None:
        logits = torch.tensor(LOGITS, dtype=dtype, requires_grad=True)
        sign = 1 if label == 0.0 else -1
        target = torch.full_like(logits, label)
        loss = reference.sigmoid_loss(logits, target, None, None, EACH)
        (slope,) = torch.autograd.grad(loss.sum(), logits, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), logits)
        numbers = [sign * mpf(logit) for logit in logits.tolist()]
        assert_units(loss, [softplus(x) for x in numbers], UNITS)
        assert_units(slope, [sign * sigmoid(x) for x in numbers], UNITS)
        assert_units(curvature, [sigmoid(x) * sigmoid(-x) for x in numbers], 2 * UNITS)

    @pytest.mark.parametrize("share", [0.25, 0.9])
    def test_logits_with_shares(self, share: float, dtype: torch.dtype) -> None:
        logits, target = torch.tensor(LOGITS, dtype=dtype), torch.tensor(share, dtype=dtype)
        value, gradient = with_gradient(
            lambda x: reference.sigmoid_loss(x, target.expand_as(x), None, None, EACH), logits
        )
        t = mpf(target.item())
        numbers = [mpf(logit) for logit in logits.tolist()]
        assert_units(value, [t * softplus(-x) + (1 - t) * softplus(x) for x in numbers], UNITS)
        # The slope is a difference of numbers of the size of the target.
        assert_units(gradient, [sigmoid(x) - t for x in numbers], UNITS, scale=1.0)

    @pytest.mark.parametrize("label", [0.0, 1.0])
    def test_probabilities(self, label: float, dtype: torch.dtype) -> None:
        eps = torch.finfo(dtype).eps
        chances = torch.tensor([1e-37, 1e-20, 1e-13, 0.1, 0.5, 0.9, 1 - eps], dtype=dtype)
        target = torch.full_like(chances, label)
        value, gradient = with_gradient(
            lambda p: reference.probability_loss(p, target, None, None, EACH), chances
        )
        of_label = [mpf(p) if label else 1 - mpf(p) for p in chances.tolist()]
        assert_units(value, [-mpmath.log(p) for p in of_label], UNITS)
        assert_units(gradient, [(-1 if label else 1) / p for p in of_label], UNITS)

    def test_certain_and_right(self, dtype: torch.dtype) -> None:
        chances = torch.tensor([0.0, 1.0], dtype=dtype)
        value, gradient = with_gradient(
            lambda p: reference.probability_loss(p, chances, None, None, EACH), chances
        )
        assert value.tolist() == [0.0, 0.0]
        assert gradient.tolist() == [1.0, -1.0]

    def test_infinite_logits(self, dtype: torch.dtype) -> None:
        logits = torch.tensor([inf, -inf, -inf, inf], dtype=dtype)
        target = torch.tensor([1, 0, 1, 0])
        value, gradient = with_gradient(
            lambda x: reference.sigmoid_loss(x, target, None, None, EACH), logits
        )
        assert value.tolist() == [0.0, 0.0, inf, inf]
        assert gradient.tolist() == [0.0, 0.0, -1.0, 1.0]

    def test_nan_where_left_out(self, dtype: torch.dtype) -> None:
        left_out = ElementSettings("sum", ignore_index=-1)
        target, weight = torch.tensor([1, -1]), torch.tensor([1.0, nan])
        for loss in (reference.sigmoid_loss, reference.probability_loss):
            value, gradient = with_gradient(
                lambda x, loss=loss: loss(x, target, weight, weight, left_out),
                torch.tensor([0.5, nan], dtype=dtype),
            )
            assert value.isfinite()
            assert gradient.isfinite().all()
            assert gradient[1] == 0.0


class TestZeroTimesInfinity:
    """A factor of zero drops its term."""

    def test_product(self) -> None:
        factor = torch.tensor([0.0, 0.0, 2.0, 0.0], requires_grad=True)
        value = torch.tensor([inf, 3.0, inf, nan])
        assert kernels.product(factor, value)[:3].tolist() == [0.0, 0.0, inf]
        assert kernels.product(factor, value)[3].isnan()
        (slope,) = torch.autograd.grad(kernels.product(factor, value)[:2].sum(), factor)
        assert slope[:2].tolist() == [0.0, 3.0]

    def test_class_weight(self) -> None:
        weight = torch.tensor([1.0, 0.0])
        logits = torch.tensor([[0.0, -inf], [0.0, -inf]])
        for settings in (EACH_ROW, RowSettings("none", label_smoothing=0.5)):
            value, gradient = with_gradient(
                lambda x, settings=settings: reference.softmax_loss(
                    x, torch.tensor([0, 1]), weight, None, settings
                ),
                logits,
            )
            assert value.tolist() == [0.0, 0.0]
            assert gradient.isfinite().all()

    def test_sample_weight_and_full_smoothing(self) -> None:
        logits, target = torch.tensor([[0.0, -inf]]), torch.tensor([1])
        none = reference.softmax_loss(logits, target, None, torch.zeros(1), EACH_ROW)
        assert none.tolist() == [0.0]
        smooth = RowSettings("none", label_smoothing=1.0)
        weight = torch.tensor([1.0, 0.0])
        assert reference.softmax_loss(logits, target, weight, None, smooth).tolist() == [0.0]


class TestOutOfRange:
    def seen(self, call: Callable[[], Tensor]) -> tuple[int, float, str]:
        with pytest.raises(OutOfRange) as raised:
            call()
        error = raised.value
        return error.position, error.value, error.argument

    @pytest.mark.parametrize("wrong", [5, -1, -101])
    def test_first_class_index(self, wrong: int) -> None:
        target = torch.tensor([[0, -100], [wrong, 7]])
        logits = torch.zeros(2, 5, 2)
        for loss in (reference.softmax_loss, reference.nll_loss):
            found = self.seen(lambda loss=loss: loss(logits, target, None, None, EACH_ROW))
            assert found == (2, wrong, "target")

    @pytest.mark.parametrize("wrong", [1.5, -0.25, inf])
    def test_first_probability(self, wrong: float) -> None:
        good, bad = torch.full((2, 2), 0.5), torch.tensor([[0.5, 0.0], [wrong, 3.0]])

        def loss(input: Tensor, target: Tensor) -> Tensor:
            return reference.probability_loss(input, target, None, None, EACH)

        assert self.seen(lambda: loss(bad, good)) == (2, wrong, "input")
        assert self.seen(lambda: loss(good, bad)) == (2, wrong, "target")
        assert math.isnan(self.seen(lambda: loss(bad + nan, good))[1])

    def test_nothing_is_read_where_values_are_not_there(self) -> None:
        """Under vmap nothing may depend on a value; PyTorch's own gather finds the fault then."""
        wrong = torch.tensor([[0.5, 7.0]])
        mapped = torch.vmap(
            lambda p: reference.probability_loss(p, torch.ones(2), None, None, EACH)
        )
        assert mapped(wrong).shape == (1, 2)


class TestDenominators:
    def test_row_weights(self) -> None:
        weights = kernels.row_weights(
            torch.tensor([0, 2, -100], dtype=torch.int8),
            torch.tensor([2.0, 3.0, 5.0]),
            torch.tensor([1.0, 10.0, nan]),
            -100,
            torch.float64,
        )
        assert weights.dtype == torch.float64
        assert weights.tolist() == [2.0, 50.0, 0.0]

    @pytest.mark.parametrize(("zero", "expected"), [(False, nan), (True, 0.0)])
    def test_quotient_of_nothing(self, zero: bool, expected: float) -> None:
        total = torch.tensor(0.0, requires_grad=True)
        mean = kernels.quotient(2 * total, torch.tensor(0.0), zero)
        assert mean.item() == pytest.approx(expected, nan_ok=True)
        assert torch.autograd.grad(mean, total)[0] == 0.0

    def test_weights_that_cancel(self) -> None:
        """As in PyTorch: something over nothing is infinite."""
        assert kernels.quotient(torch.tensor(-2.0), torch.tensor(0.0), False) == -inf

    @pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (0, 3, 2)])
    def test_empty(self, shape: tuple[int, ...]) -> None:
        logits = torch.zeros(shape, requires_grad=True)
        target = torch.full((shape[0], *shape[2:]), -100)
        for loss in (reference.softmax_loss, reference.nll_loss):
            value = loss(logits, target, None, None, RowSettings())
            assert value.isnan()
            assert loss(logits, target, None, None, RowSettings("sum")) == 0.0
            assert loss(logits, target, None, None, EACH_ROW).shape == target.shape
            assert torch.autograd.grad(value, logits)[0].shape == shape
        soft = torch.zeros(shape)
        assert reference.soft_target_loss(logits, soft, None, None, RowSettings()).isnan()
        assert reference.soft_target_loss(logits, soft, None, None, RowSettings("sum")) == 0.0


ROWS_OF_THREE = torch.tensor(
    [[0.5, -1.0, 2.0], [3.0, 0.25, 0.0], [0.0, 0.0, 0.0], [-1.0, 4.0, 1.0]]
)
CLASS_OF_EACH = torch.tensor([0, 2, -100, 1])
SHARE_OF_EACH = torch.softmax(ROWS_OF_THREE.flip(0), 1)
CLASS_WEIGHT = torch.tensor([1.0, 2.0, 0.5])


@pytest.mark.parametrize("loss", [reference.softmax_loss, reference.nll_loss])
def test_class_weights_read_no_value(loss: Callable[..., Tensor]) -> None:
    """Scalar targets under vmap, and targets without values."""
    expected = loss(ROWS_OF_THREE, CLASS_OF_EACH, CLASS_WEIGHT, None, EACH_ROW)

    def of_one(row: Tensor, target: Tensor) -> Tensor:
        return loss(row, target, CLASS_WEIGHT, None, EACH_ROW)

    torch.testing.assert_close(torch.vmap(of_one)(ROWS_OF_THREE, CLASS_OF_EACH), expected)
    slopes = torch.vmap(torch.func.grad(of_one))(ROWS_OF_THREE, CLASS_OF_EACH)
    leaf = ROWS_OF_THREE.clone().requires_grad_()
    loss(leaf, CLASS_OF_EACH, CLASS_WEIGHT, None, EACH_ROW).sum().backward()
    torch.testing.assert_close(slopes, leaf.grad)
    one = of_one(ROWS_OF_THREE[0].to("meta"), CLASS_OF_EACH[0].to("meta"))
    assert (one.shape, one.device.type) == ((), "meta")


@pytest.mark.parametrize(
    ("loss", "target"),
    [(reference.softmax_loss, CLASS_OF_EACH), (reference.soft_target_loss, SHARE_OF_EACH)],
)
def test_logits_may_be_overwritten_after_the_forward(
    loss: Callable[..., Tensor], target: Tensor
) -> None:
    slopes = []
    for overwritten in (False, True):
        leaf = ROWS_OF_THREE.clone().requires_grad_()
        logits = leaf.clone()
        value = loss(logits, target, CLASS_WEIGHT, None, RowSettings("mean", -100, 0.1, 0.01))
        if overwritten:
            with torch.no_grad():
                logits.fill_(nan)
        value.backward()
        slopes.append(leaf.grad)
    torch.testing.assert_close(*slopes)


@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated")
@pytest.mark.parametrize("zero_if_all_ignored", [False, True])
@pytest.mark.parametrize("size", [3, 7])
def test_recorded_programs_follow_the_size_of_the_batch(
    size: int, zero_if_all_ignored: bool
) -> None:
    """torch.jit.trace says nothing (a warning is an error here), and denominators are not fixed."""
    rows = RowSettings("mean", -100, 0.1, 0.01, zero_if_all_ignored)
    elements = ElementSettings("mean", 0.1, None, zero_if_all_ignored)
    inputs = [torch.linspace(0.1, 0.9, count * 3).reshape(count, 3) for count in (4, size)]
    for loss, settings in (
        (reference.softmax_loss, rows),
        (reference.nll_loss, rows),
        (reference.soft_target_loss, rows),
        (reference.sigmoid_loss, elements),
        (reference.probability_loss, elements),
    ):
        by_index = loss in (reference.softmax_loss, reference.nll_loss)
        targets = [input[:, 0].ge(0.5).long() if by_index else 1.0 - input for input in inputs]

        def recorded(
            input: Tensor,
            target: Tensor,
            loss: Callable[..., Tensor] = loss,
            settings: RowSettings | ElementSettings = settings,
        ) -> Tensor:
            return loss(input, target, None, None, settings)

        program = torch.jit.trace(recorded, (inputs[0], targets[0]))
        torch.testing.assert_close(program(inputs[1], targets[1]), recorded(inputs[1], targets[1]))


def test_mean_over_no_elements() -> None:
    nothing = torch.zeros(0, 3)
    for loss in (reference.sigmoid_loss, reference.probability_loss):
        assert loss(nothing, nothing, None, None, ElementSettings()).isnan()
        zero = ElementSettings(zero_if_all_ignored=True)
        assert loss(nothing, nothing, None, None, zero) == 0.0


def test_soft_targets_with_sizes_as_symbols() -> None:
    def of_rows(input: Tensor, target: Tensor) -> Tensor:
        return reference.soft_target_loss(input, target, None, None, RowSettings("mean"))

    arguments = (ROWS_OF_THREE, SHARE_OF_EACH)
    program = make_fx(of_rows, tracing_mode="symbolic")(*arguments)
    torch.testing.assert_close(program(*arguments), of_rows(*arguments))
