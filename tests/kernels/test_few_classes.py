"""Rows of few classes: turned on their side, read at once, written while the next are computed."""

import pytest
import torch

import xent.functional as F

DIGITS = {torch.float32: 2e-6, torch.float64: 1e-12, torch.bfloat16: 1e-2, torch.float16: 2e-3}
# From here on gradients go past the caches.
STREAMED = 4_300_001


def rows_of_all_kinds(rows, classes, dtype):
    """Ordinary logits with an ignored row of NaN, a minus infinity and a row of huge logits."""
    random = torch.Generator().manual_seed(rows + classes)
    logits = 3 * torch.randn(rows, classes, dtype=torch.float64, generator=random)
    target = torch.randint(0, classes, (rows,), generator=random)
    if rows > 20:
        target[3], logits[3] = -100, float("nan")
    if rows > 200 and classes > 1:
        logits[rows // 2, 0], target[rows // 2] = float("-inf"), 1
        logits[rows - 3] *= 1e3
    return logits.to(dtype), target


def assert_as_in_double(logits, target):
    ours = logits.clone().requires_grad_()
    loss = F.cross_entropy(ours, target)
    loss.backward()
    exact = logits.double().clone().requires_grad_()
    expected = torch.nn.functional.cross_entropy(exact, target)
    expected.backward()
    gradient = torch.where((target == -100)[:, None], 0.0, exact.grad)
    digits = DIGITS[logits.dtype]
    torch.testing.assert_close(loss.double(), expected.detach(), rtol=digits, atol=digits)
    # Relative to a whole row's share of the mean, and to what half precision can hold.
    absolute = max(digits / len(target), 6e-8 if logits.dtype == torch.float16 else 0.0)
    torch.testing.assert_close(ours.grad.double(), gradient, rtol=10 * digits, atol=absolute)


@pytest.mark.parametrize("dtype", DIGITS, ids=str)
@pytest.mark.parametrize("classes", [1, 2, 3, 4, 5, 7, 8, 9, 10, 16, 23, 64, 95])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 129, 300, 2049])
def test_every_shape_of_the_last_rows(rows, classes, dtype):
    assert_as_in_double(*rows_of_all_kinds(rows, classes, dtype))


@pytest.mark.parametrize("classes", [2, 3, 5, 10, 23])
def test_gradients_past_the_caches(classes):
    logits, target = rows_of_all_kinds(STREAMED // classes, classes, torch.float32)
    # The second time the memory of the first gradient is used again, and written past the caches.
    for _ in range(2):
        assert_as_in_double(logits, target)


@pytest.mark.parametrize("height", [160, 161])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_gradients_of_images_past_the_caches(height, dtype):
    images = 17 if dtype == torch.bfloat16 else 8
    random = torch.Generator().manual_seed(height)
    logits = torch.randn(images, 21, height, 161, dtype=torch.float64, generator=random).to(dtype)
    target = torch.randint(0, 21, (images, height, 161), generator=random)
    target[:, 5, :7] = -100
    exact = logits.double().clone().requires_grad_()
    torch.nn.functional.cross_entropy(exact, target).backward()
    for _ in range(2):
        ours = logits.clone().requires_grad_()
        F.cross_entropy(ours, target).backward()
        digits = DIGITS[dtype]
        torch.testing.assert_close(
            ours.grad.double(), exact.grad, rtol=10 * digits, atol=digits / target.numel()
        )
