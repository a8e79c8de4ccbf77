"""The losses of rows: each row is one class out of several."""

from __future__ import annotations

from xent._contracts import _faults as faults
from xent._contracts import _row_losses as definitions
from xent._contracts._arguments import (
    ALL_IGNORED_ARGUMENT,
    CLASS_DIM,
    CLASS_WEIGHT,
    IGNORE_INDEX,
    INDEX_TARGET,
    INDICES,
    NORMALIZER,
    REDUCTION_ARGUMENT,
    ROW_WEIGHT,
    ROWS,
    label_smoothing,
)
from xent._contracts._contract import Argument, Contract, Form, Reference, Sibling
from xent._contracts._domains import (
    CLASS_PROBABILITY,
    COEFFICIENT,
    FLOATS,
    LOG_ODDS_OFFSET,
    LOG_PROBABILITY,
    LOGIT,
    NUMBERS,
    SCALE,
)

LOGITS = Argument("input", (Form(LOGIT, ROWS, FLOATS),), "one logit for each class of each row")
MEAN_OF_ROWS = (
    "the sum of weight[target] over rows that are not ignored, times sample_weight if it is given"
)
ROW_ERRORS = (
    faults.NOT_A_TENSOR,
    faults.SPARSE_TENSOR,
    faults.INPUT_NOT_FLOATING,
    faults.SWAPPED_ARGUMENTS,
    faults.NO_CLASS_AXIS,
    faults.CLASS_DIM_OUT_OF_RANGE,
    faults.TARGET_NOT_INTEGER,
    faults.INTEGERS_FOR_PROBABILITIES,
    faults.AXIS_OF_ONE,
    faults.CLASS_AXIS_ELSEWHERE,
    faults.INDEX_SHAPE,
    faults.INDEX_OUT_OF_RANGE,
    faults.MIXED_DEVICES,
    faults.OPTION_TYPE,
)
ERRORS = (
    *ROW_ERRORS,
    faults.CLASS_VECTOR_SHAPE,
    faults.NOT_REAL,
    faults.SAMPLE_WEIGHT_SHAPE,
    faults.UNKNOWN_CHOICE,
    faults.NOT_ONE_NUMBER,
    faults.OPTION_OUT_OF_RANGE,
    faults.NORMALIZER_WITHOUT_MEAN,
)
GOOD = Reference("I. J. Good", "Rational decisions", 1952)
BRIDLE = Reference(
    "J. S. Bridle",
    "Probabilistic interpretation of feedforward classification network outputs",
    1990,
)
SZEGEDY = Reference(
    "C. Szegedy and others", "Rethinking the Inception architecture for computer vision", 2016
)
MENON = Reference("A. K. Menon and others", "Long-tail learning via logit adjustment", 2021)
LIN = Reference("T.-Y. Lin and others", "Focal loss for dense object detection", 2017)

CROSS_ENTROPY = Contract(
    name="cross_entropy",
    summary="Cross-entropy between the target and softmax(input), one class out of several a row.",
    tasks=("binary", "multiclass"),
    formula="-x_y + log(sum_c exp(x_c)),  or with class probabilities -sum_c t_c log softmax(x)_c",
    latex=r"-\log \frac{e^{x_y}}{\sum_c e^{x_c}}",
    options_formula=(
        "class index: s (w_y ((1 - e) (lse - x_y) + z lse^2) + e / C sum_c w_c (lse - x_c));  "
        "class probabilities: s (sum_c w_c t'_c (lse - x_c) + z lse^2), t' = (1 - e) t + e / C;  "
        "x = softcap tanh(input / softcap) / temperature + logit_adjustment, "
        "lse = log(sum_c exp(x_c)), e = label_smoothing, z = z_loss, s = sample_weight"
    ),
    arguments=(
        LOGITS,
        Argument(
            "target",
            (*INDEX_TARGET.forms, Form(CLASS_PROBABILITY, ROWS, FLOATS)),
            "the class of each row, or the probability of each class in the shape of input",
        ),
        CLASS_WEIGHT,
        IGNORE_INDEX,
        REDUCTION_ARGUMENT,
        label_smoothing("all classes evenly", keyword_only=False),
        CLASS_DIM,
        ROW_WEIGHT,
        NORMALIZER,
        ALL_IGNORED_ARGUMENT,
        Argument(
            "z_loss",
            (Form(COEFFICIENT),),
            "coefficient of the squared log-sum-exp that is added to the loss of a row",
            "0.0",
            keyword_only=True,
        ),
        Argument(
            "softcap",
            (Form(SCALE),),
            "bound of the logits: softcap tanh(input / softcap); None for none",
            "None",
            keyword_only=True,
        ),
        Argument(
            "temperature",
            (Form(SCALE, "()", FLOATS),),
            "what the logits are divided by, after softcap",
            "1.0",
            keyword_only=True,
        ),
        Argument(
            "logit_adjustment",
            (Form(LOG_ODDS_OFFSET, "(classes,)", NUMBERS),),
            "what is added to the logits of each class, last, such as log priors",
            "None",
            keyword_only=True,
        ),
    ),
    output=INDICES,
    mean_denominator=f"{MEAN_OF_ROWS}; for class probabilities the number of rows (or the sum of "
    "sample_weight), whatever the class weights",
    definition=definitions.cross_entropy,
    denominator=definitions.rows_denominator,
    probabilities="torch.softmax(input, dim=1)",
    prediction="input.argmax(dim=1)",
    also_known_as=("torch.nn.functional.cross_entropy", "torch.nn.CrossEntropyLoss"),
    twin="nll_loss",
    siblings=(
        Sibling("nll_loss", "takes log-probabilities: this one is nll_loss of log_softmax(input)"),
        Sibling(
            "binary_cross_entropy_with_logits",
            "takes a yes or no for each element, so that several classes may be right at once",
        ),
        Sibling("softmax_focal_loss", "gives rows that are already right less weight"),
        Sibling("cross_entropy_statistics", "gives more numbers per row and no reduction"),
    ),
    errors=(
        *ERRORS,
        faults.SMOOTHING_OUT_OF_RANGE,
        faults.MARK_WITH_PROBABILITIES,
    ),
    references=(GOOD, BRIDLE, SZEGEDY, MENON),
)

NLL_LOSS = Contract(
    name="nll_loss",
    summary="Negative log-likelihood of the target, read from log-probabilities.",
    tasks=("binary", "multiclass"),
    formula="-x_y",
    latex=r"-x_y",
    options_formula="-s w_y x_y,  s = sample_weight",
    arguments=(
        Argument(
            "input",
            (Form(LOG_PROBABILITY, ROWS, FLOATS),),
            "one log-probability for each class of each row",
        ),
        INDEX_TARGET,
        CLASS_WEIGHT,
        IGNORE_INDEX,
        REDUCTION_ARGUMENT,
        CLASS_DIM,
        ROW_WEIGHT,
        NORMALIZER,
        ALL_IGNORED_ARGUMENT,
    ),
    output=INDICES,
    mean_denominator=MEAN_OF_ROWS,
    definition=definitions.nll_loss,
    denominator=definitions.rows_denominator,
    probabilities="input.exp()",
    prediction="input.argmax(dim=1)",
    also_known_as=("torch.nn.functional.nll_loss", "torch.nn.NLLLoss"),
    twin="cross_entropy",
    siblings=(
        Sibling("cross_entropy", "takes logits: apply no log_softmax for this one"),
        Sibling(
            "binary_cross_entropy",
            "takes probabilities, not their logarithms, and a yes or no for each element",
        ),
    ),
    errors=ERRORS,
    references=(GOOD,),
)

SOFTMAX_FOCAL_LOSS = Contract(
    name="softmax_focal_loss",
    summary="Cross-entropy of logits, weighted down in rows that are already right.",
    tasks=("multiclass",),
    formula="(1 - p_y)^gamma (-log p_y),  p = softmax(x)",
    latex=r"-(1 - p_y)^\gamma \log p_y",
    options_formula="s w_y (1 - p_y)^gamma (-log p_y),  p = softmax(x), s = sample_weight",
    arguments=(
        LOGITS,
        INDEX_TARGET,
        CLASS_WEIGHT,
        Argument("gamma", (Form(COEFFICIENT),), "how fast easy rows lose weight", "2.0"),
        IGNORE_INDEX,
        REDUCTION_ARGUMENT,
        CLASS_DIM,
        ROW_WEIGHT,
        NORMALIZER,
        ALL_IGNORED_ARGUMENT,
    ),
    output=INDICES,
    mean_denominator=MEAN_OF_ROWS,
    definition=definitions.softmax_focal_loss,
    denominator=definitions.rows_denominator,
    probabilities="torch.softmax(input, dim=1)",
    prediction="input.argmax(dim=1)",
    also_known_as=(),
    twin=None,
    siblings=(
        Sibling("cross_entropy", "is this with gamma=0"),
        Sibling("sigmoid_focal_loss", "takes a yes or no for each element"),
    ),
    errors=ERRORS,
    references=(LIN,),
)

CROSS_ENTROPY_STATISTICS = Contract(
    name="cross_entropy_statistics",
    summary="What each row of logits says of its target: nll, log-sum-exp, entropy and prediction.",
    tasks=("binary", "multiclass"),
    formula="nll = lse - x_y,  lse = log(sum_c exp(x_c)),  entropy = -sum_c p_c log p_c,  "
    "prediction = argmax_c x_c",
    latex=r"\mathrm{lse} - x_y,\quad \mathrm{lse} = \log \sum_c e^{x_c},\quad "
    r"-\sum_c p_c \log p_c,\quad \arg\max_c x_c",
    options_formula="of ignored rows 0, 0, 0 and -1 (-2 where ignore_index is -1)",
    arguments=(LOGITS, INDEX_TARGET, IGNORE_INDEX, CLASS_DIM),
    output=f"four of {INDICES}",
    mean_denominator="",
    definition=definitions.cross_entropy_statistics,
    denominator=None,
    probabilities="torch.softmax(input, dim=1)",
    prediction="input.argmax(dim=1)",
    also_known_as=(),
    twin=None,
    siblings=(Sibling("cross_entropy", 'is nll, reduced; its reduction="none" is nll alone'),),
    errors=ROW_ERRORS,
    references=(GOOD,),
)
