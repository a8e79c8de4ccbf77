"""The losses of elements: each element is a yes or no by itself."""

from __future__ import annotations

from dataclasses import replace

from xent._contracts import _element_losses as definitions
from xent._contracts import _faults as faults
from xent._contracts._arguments import (
    ALL_IGNORED_ARGUMENT,
    ELEMENT_WEIGHT,
    ELEMENTS,
    IGNORED_TARGET,
    LEADING_WEIGHT,
    NORMALIZER,
    REDUCTION_ARGUMENT,
    label_smoothing,
    pos_weight,
)
from xent._contracts._contract import Argument, Contract, Form, Reference, Sibling
from xent._contracts._domains import (
    BINARY_LABEL,
    COEFFICIENT,
    FLOATS,
    FRACTION,
    LABELS,
    LOGIT,
    PROBABILITY,
)

TARGET = Argument(
    "target",
    (
        Form(PROBABILITY, ELEMENTS, FLOATS),
        Form(BINARY_LABEL, ELEMENTS, LABELS),
    ),
    "the label of each element, 0 or 1, or the probability of 1",
)
# PyTorch takes any target with logits: the loss is linear in it.
UNCHECKED_TARGET = replace(TARGET, meaning=f"{TARGET.meaning}; other values are taken as they are")
MEAN_OF_ELEMENTS = (
    "the number of elements that are not ignored, or the sum of their sample_weight if it is given"
)
ERRORS = (
    faults.NOT_A_TENSOR,
    faults.SPARSE_TENSOR,
    faults.INPUT_NOT_FLOATING,
    faults.SWAPPED_ARGUMENTS,
    faults.NOT_REAL,
    faults.AXIS_OF_ONE,
    faults.UNEQUAL_SHAPES,
    faults.NOT_BROADCASTABLE,
    faults.SAMPLE_WEIGHT_SHAPE,
    faults.MIXED_DEVICES,
    faults.UNKNOWN_CHOICE,
    faults.OPTION_TYPE,
    faults.OPTION_OUT_OF_RANGE,
    faults.NOT_ONE_NUMBER,
    faults.NORMALIZER_WITHOUT_MEAN,
)
GOOD = Reference("I. J. Good", "Rational decisions", 1952)
COX = Reference("D. R. Cox", "The regression analysis of binary sequences", 1958)
LIN = Reference("T.-Y. Lin and others", "Focal loss for dense object detection", 2017)

BINARY_CROSS_ENTROPY = Contract(
    name="binary_cross_entropy",
    summary="Cross-entropy between target and predicted probabilities, each element by itself.",
    tasks=("binary", "multilabel"),
    formula="-(t log p + (1 - t) log(1 - p))",
    latex=r"-\left[t \log p + (1 - t) \log(1 - p)\right]",
    options_formula=(
        "-s w (pos_weight t' log p + (1 - t') log(1 - p)),  "
        "t' = (1 - label_smoothing) t + label_smoothing / 2,  logarithms at least -100"
    ),
    arguments=(
        Argument(
            "input",
            (Form(PROBABILITY, ELEMENTS, FLOATS),),
            "the predicted probability of 1 for each element",
        ),
        TARGET,
        ELEMENT_WEIGHT,
        REDUCTION_ARGUMENT,
        pos_weight(keyword_only=True),
        label_smoothing("one half", keyword_only=True),
        IGNORED_TARGET,
        LEADING_WEIGHT,
        NORMALIZER,
        ALL_IGNORED_ARGUMENT,
    ),
    output=ELEMENTS,
    mean_denominator=MEAN_OF_ELEMENTS,
    definition=definitions.binary_cross_entropy,
    denominator=definitions.elements_denominator,
    probabilities="input",
    prediction="input > 0.5",
    also_known_as=("torch.nn.functional.binary_cross_entropy", "torch.nn.BCELoss"),
    twin="binary_cross_entropy_with_logits",
    siblings=(
        Sibling(
            "binary_cross_entropy_with_logits",
            "takes logits, so that no digit is lost where a probability rounds to 0 or 1",
        ),
        Sibling(
            "cross_entropy",
            "takes one class out of several for each row, not a yes or no for each element",
        ),
    ),
    errors=(
        *ERRORS,
        faults.PROBABILITY_OUT_OF_RANGE,
        faults.UNDER_AUTOCAST,
        faults.TARGET_OUT_OF_RANGE,
        faults.SMOOTHING_OUT_OF_RANGE,
    ),
    references=(GOOD,),
)

BINARY_CROSS_ENTROPY_WITH_LOGITS = Contract(
    name="binary_cross_entropy_with_logits",
    summary="Cross-entropy between target and sigmoid(input), each element by itself.",
    tasks=("binary", "multilabel"),
    formula="t log(1 + exp(-z)) + (1 - t) log(1 + exp(z))",
    latex=r"t \log(1 + e^{-z}) + (1 - t) \log(1 + e^{z})",
    options_formula=(
        "s w (pos_weight t' log(1 + exp(-z)) + (1 - t') log(1 + exp(z))),  "
        "t' = (1 - label_smoothing) t + label_smoothing / 2"
    ),
    arguments=(
        Argument("input", (Form(LOGIT, ELEMENTS, FLOATS),), "the log-odds of 1 for each element"),
        UNCHECKED_TARGET,
        ELEMENT_WEIGHT,
        REDUCTION_ARGUMENT,
        pos_weight(keyword_only=False),
        label_smoothing("one half", keyword_only=True),
        IGNORED_TARGET,
        LEADING_WEIGHT,
        NORMALIZER,
        ALL_IGNORED_ARGUMENT,
    ),
    output=ELEMENTS,
    mean_denominator=MEAN_OF_ELEMENTS,
    definition=definitions.binary_cross_entropy_with_logits,
    denominator=definitions.elements_denominator,
    probabilities="torch.sigmoid(input)",
    prediction="input > 0",
    also_known_as=(
        "torch.nn.functional.binary_cross_entropy_with_logits",
        "torch.binary_cross_entropy_with_logits",
        "torch.nn.BCEWithLogitsLoss",
    ),
    twin="binary_cross_entropy",
    siblings=(
        Sibling("binary_cross_entropy", "takes probabilities: apply no sigmoid for this one"),
        Sibling(
            "cross_entropy",
            "takes one class out of several for each row; on the two logits (0, z) it is the same",
        ),
        Sibling("sigmoid_focal_loss", "gives elements that are already right less weight"),
    ),
    errors=(*ERRORS, faults.SMOOTHING_OUT_OF_RANGE),
    references=(GOOD, COX),
)

SIGMOID_FOCAL_LOSS = Contract(
    name="sigmoid_focal_loss",
    summary="Binary cross-entropy of logits, weighted down where the prediction is already right.",
    tasks=("binary", "multilabel"),
    formula="alpha_t (1 - p_t)^gamma (-log p_t)",
    latex=r"-\alpha_t (1 - p_t)^\gamma \log p_t",
    options_formula=(
        "alpha_t (1 - p_t)^gamma times binary_cross_entropy_with_logits,  "
        "p_t = p t + (1 - p)(1 - t),  alpha_t = alpha t + (1 - alpha)(1 - t)"
    ),
    arguments=(
        Argument("input", (Form(LOGIT, ELEMENTS, FLOATS),), "the log-odds of 1 for each element"),
        UNCHECKED_TARGET,
        Argument(
            "alpha",
            (Form(FRACTION),),
            "weight of the positive class, 1 - alpha that of the negative; -1 for none",
            "0.25",
        ),
        Argument("gamma", (Form(COEFFICIENT),), "how fast easy elements lose weight", "2.0"),
        REDUCTION_ARGUMENT,
    ),
    output=ELEMENTS,
    mean_denominator="the number of elements",
    definition=definitions.sigmoid_focal_loss,
    denominator=definitions.elements_denominator,
    probabilities="torch.sigmoid(input)",
    prediction="input > 0",
    also_known_as=("torchvision.ops.sigmoid_focal_loss",),
    twin=None,
    siblings=(
        Sibling("binary_cross_entropy_with_logits", "is this with gamma=0 and alpha=-1"),
        Sibling("softmax_focal_loss", "takes one class out of several for each row"),
    ),
    errors=tuple(
        fault
        for fault in ERRORS
        if fault
        not in (
            faults.NOT_BROADCASTABLE,
            faults.SAMPLE_WEIGHT_SHAPE,
            faults.NOT_ONE_NUMBER,
            faults.NORMALIZER_WITHOUT_MEAN,
        )
    ),
    references=(LIN,),
)
