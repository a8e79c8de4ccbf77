"""The scale of the input: logits, probabilities or log-probabilities, against what the loss takes.

Values decide first. ``grad_fn`` proves what a few values can't, and clears what they only suggest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from xent._symptoms import double_softmax_loss_floor
from xent.wiring._finding import ERROR, NOTE, WARNING
from xent.wiring._flow._losses import LOG_PROBABILITY, LOGITS
from xent.wiring._live._axes import axes
from xent.wiring._live._batch import Batch
from xent.wiring._live._chance import FOR_A_WARNING, chance_words, level_by_chance
from xent.wiring._live._evidence import Evidence
from xent.wiring._live._given_loss import CLASS_PROBABILITY, NUMBER
from xent.wiring._live._logarithms import into_divergence, into_likelihood
from xent.wiring._live._report import LiveFinding, Outcome, Right, Unknown, found, range_words

_CUTTING = (
    "relu", "tanh", "leaky_relu", "hardtanh", "elu", "celu", "gelu", "silu", "mish", "softplus",
    "hardswish", "prelu", "rrelu", "threshold",
)  # fmt: skip
_UNIT = ("sigmoid", "hardsigmoid")


def scale(batch: Batch) -> Iterator[Outcome]:
    """What the values of the input are, and whether the loss takes that."""
    if not batch.has_values or batch.input.dtype.is_complex or batch.loss.takes == NUMBER:
        return
    if batch.loss.of_rows and batch.classes == 1:
        yield _single_output(batch)
        return
    evidence = _evidence(batch)
    if not evidence.values.size:
        yield Unknown(("XE1",), "No row is left to look at: all are ignored or not finite.")
        return
    yield from axes(evidence)
    yield from _family(batch)(evidence)


def _evidence(batch: Batch) -> Evidence:
    """Of elements the loss doesn't say which axis is that of the classes: axis 1, or the last."""
    evidence = Evidence(batch)
    if batch.loss.of_rows or batch.input.ndim < 3 or evidence.are_probabilities:
        return evidence
    options = {**batch.options, "class_dim": -1}
    last = Evidence(replace(batch, given=replace(batch.given, options=options)))
    return last if last.are_probabilities else evidence


def _family(batch: Batch) -> Callable[[Evidence], Iterator[Outcome]]:
    if batch.loss.takes == LOGITS:
        return _into_logits_of_rows if batch.loss.of_rows else _into_logits_of_elements
    if batch.loss.takes == LOG_PROBABILITY:
        return into_divergence if batch.loss.name == "kl_div" else into_likelihood
    return _nothing if batch.loss.takes == CLASS_PROBABILITY else _into_probabilities


def _nothing(_: Evidence) -> Iterator[Outcome]:
    return iter(())


def _single_output(batch: Batch) -> LiveFinding:
    return found(
        "XE110",
        f"{batch.label} is given one class: its loss is 0 for every input and nothing is learnt.",
        "Use BCEWithLogitsLoss on the one output, or give the model 2 outputs.",
        f"input has shape {tuple(batch.input.shape)}, and axis {batch.class_axis} is that of the "
        "classes.",
    )


def _into_logits_of_rows(evidence: Evidence) -> Iterator[Outcome]:
    batch, floor = evidence.batch, _floor_words(evidence.batch)
    rows = batch.rows.words()
    if evidence.comes_from("softmax") and evidence.are_inside:
        yield found(
            "XE101",
            f"input is probabilities, and {batch.label} applies log_softmax itself: {floor}",
            "Give it the logits.",
            f"{evidence.by_graph()} Rows sum to {range_words(evidence.sums)}.",
        )
    elif evidence.are_decisions:
        yield found(
            "XE101",
            f"The rows of input are one-hot, decisions and not scores: {floor}",
            "Give it the logits.",
            f"In {rows} one number is 1 and the others are 0.",
            WARNING if evidence.distinct > 1 else NOTE,
        )
    elif evidence.are_probabilities:
        chance = evidence.chance_of_sums
        yield found(
            "XE101",
            f"The rows of input are probabilities, and {batch.label} applies log_softmax itself: "
            f"{floor}",
            "Give it the logits.",
            f"In {rows} the numbers are >= 0 and sum to {range_words(evidence.sums)}."
            + chance_words(chance),
            level_by_chance(chance),
        )
    elif evidence.comes_from("log_softmax") or _are_log_probabilities_by_values(evidence):
        yield found(
            "XE102",
            f"input is log-probabilities, and {batch.label} applies log_softmax itself. The value "
            "is the same, the work is done twice.",
            "Give it the logits, or use NLLLoss.",
            f"exp of {rows} sums to 1.",
        )
    else:
        outcomes = [
            *_unit_interval(evidence, "XE103", floor),
            *_cut(evidence),
        ]
        yield from outcomes
        if not any(isinstance(each, LiveFinding | Unknown) for each in outcomes):
            yield Right(
                ("XE101", "XE102", "XE103", "XE109"),
                f"The {batch.classes} scores of {rows} go from {evidence.range_words()} and are no "
                f"probabilities: logits, as {batch.label} takes them, which applies log_softmax "
                "itself.",
            )
    yield Right(("XE110",), f"There are {batch.classes} classes.")


def _are_log_probabilities_by_values(evidence: Evidence) -> bool:
    """Equal rows may be biases that begin at the log frequencies, which are right."""
    return evidence.are_log_probabilities and evidence.distinct > 1


def _floor_words(batch: Batch) -> str:
    classes = batch.classes or 2
    floor = double_softmax_loss_floor(classes)
    return f"the loss can't go below {floor:.2f} for {classes} classes, and gradients are weak."


def _into_logits_of_elements(evidence: Evidence) -> Iterator[Outcome]:
    batch = evidence.batch
    stuck = "its probabilities stay between 0.5 and 0.73, so that a negative costs at least ln 2."
    if evidence.comes_from("softmax") and evidence.are_inside:
        yield found(
            "XE104",
            f"input is probabilities, and {batch.label} applies sigmoid itself: {stuck}",
            "Give it the logits, or use BCELoss.",
            evidence.by_graph(),
        )
        return
    if evidence.are_probabilities and not evidence.comes_from("layer"):
        chance = evidence.chance_of_sums
        yield found(
            "XE104",
            f"The rows of input are probabilities, and {batch.label} applies sigmoid itself: "
            f"{stuck}",
            "Give it the logits, or use BCELoss.",
            f"In {batch.rows.words()} the numbers are >= 0 and sum to {range_words(evidence.sums)}."
            + chance_words(chance),
            level_by_chance(chance),
        )
        return
    outcomes = [*_unit_interval(evidence, "XE104", stuck), *_cut(evidence)]
    yield from outcomes
    if not any(isinstance(each, LiveFinding | Unknown) for each in outcomes):
        yield Right(
            ("XE104", "XE109"),
            f"The scores go from {evidence.range_words()}: logits, as {batch.label} takes them, "
            "which applies sigmoid itself.",
        )


def _unit_interval(evidence: Evidence, code: str, consequence: str) -> Iterator[Outcome]:
    """Values that all lie in [0, 1]: proven by grad_fn, by values alone a matter of chance."""
    batch = evidence.batch
    if evidence.comes_from(*_UNIT, "logsigmoid"):
        if code == "XE104" and evidence.comes_from("logsigmoid"):
            return
        yield found(
            code,
            f"input went through a sigmoid, and {batch.label} takes logits: {consequence}",
            "Give it the logits.",
            evidence.by_graph(),
        )
        return
    looks_cut = evidence.share_of_zeros > 0.05 and not (evidence.values == 1).any()
    if not evidence.are_inside or looks_cut or evidence.comes_from("layer", *_CUTTING):
        return
    chance = evidence.chance_of_range
    seen = f"All values lie between {evidence.range_words().replace(' to ', ' and ')}"
    if level_by_chance(chance) in (ERROR, WARNING):
        yield found(
            code,
            f"All scores lie inside [0, 1], as sigmoids do, and {batch.label} takes logits of "
            f"either sign: as long as they do, {consequence}",
            "If they are sigmoids give it the logits; if they are meant, scale them.",
            f"{seen}.{chance_words(chance)}",
            WARNING,
        )
    else:
        why = evidence.why_no_graph or "grad_fn shows no activation"
        yield Unknown(
            (code,),
            f"{seen}, as sigmoids do and as logits may: {why.rstrip('.')}.",
        )


def _cut(evidence: Evidence) -> Iterator[Outcome]:
    """Scores without a sign: ReLU and its like before the loss."""
    batch = evidence.batch
    repair = "Remove the activation after the last layer."
    if evidence.comes_from(*_CUTTING):
        yield found(
            "XE109",
            f"{batch.label} takes logits of either sign, and those of input are cut or bounded.",
            repair,
            evidence.by_graph(),
        )
        return
    if evidence.comes_from("layer"):
        return
    values = evidence.values
    positive = values[values > 0]
    # Exact zeros beside many different positive numbers; one-hot rows and masks have few.
    of_relu = 0.05 < evidence.share_of_zeros < 1 and not (values < 0).any()
    if of_relu and len(set(positive.round(6))) > max(8, len(positive) // 10):
        yield found(
            "XE109",
            f"{batch.label} takes logits of either sign, and none of input is negative: they look "
            "as if they came from ReLU.",
            repair,
            f"{evidence.share_of_zeros:.0%} of the scores are exactly 0, the others positive, up "
            f"to {values.max():.4g}.",
        )


def _into_probabilities(evidence: Evidence) -> Iterator[Outcome]:
    batch, values = evidence.batch, evidence.batch.rows.counted
    outside = int(((values < 0) | (values > 1)).sum())
    if outside:
        by_rounding = evidence.are_inside
        yield found(
            "XE105",
            f"{batch.label} takes probabilities and fails outside [0, 1].",
            "Clamp input to [0, 1]: it leaves it by rounding only."
            if by_rounding
            else "For logits use BCEWithLogitsLoss.",
            f"{outside:,} of {values.size:,} values are outside; they go from "
            f"{values.min():.6g} to {values.max():.6g}.",
        )
        return
    yield Right(
        ("XE105",), f"All values lie in [0, 1]: {batch.label} takes probabilities of any kind."
    )
    proven = evidence.comes_from("softmax") or evidence.chance_of_sums < FOR_A_WARNING
    if evidence.are_probabilities and proven:
        yield found(
            "XE108",
            f"The rows of input are probabilities of one class out of {batch.classes}, and "
            f"{batch.label} takes each class as a yes or no by itself.",
            "For one class out of several use cross_entropy on the logits.",
            f"The numbers of {batch.rows.words()} sum to {range_words(evidence.sums)}."
            + chance_words(evidence.chance_of_sums),
        )
