"""Who else uses what an activation gives, and what a loss could be given in its place."""

from __future__ import annotations

import ast
from collections import Counter

from xent.wiring._fixes._forms import (
    Activation,
    activation_at,
    input_of,
)
from xent.wiring._fixes._names import is_stable, loads, stores
from xent.wiring._fixes._syntax import Syntax, at, call_at
from xent.wiring._flow._events import Applied, Compared, Event, LossCall, Returned, Scored
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._losses import PROBABILITY
from xent.wiring._flow._producers import Effect
from xent.wiring._flow._record import Record
from xent.wiring._flow._values import Tensor
from xent.wiring._places import Site

# What would be another number, or none, of what the activation was applied to.
_NEEDS_PROBABILITIES = (Effect.LOG, Effect.EXP, Effect.LOGIT, Effect.CLIPPED, Effect.ROUNDED)


def may_change(record: Record, fault: Event, tensor: Tensor) -> bool:
    """Whether nothing that is known needs what an activation gives as it is.

    Args:
        record: all that happens.
        fault: what shows the fault.
        tensor: what the activation gives.
    """
    known = record.__dict__.get("_uses")
    if not isinstance(known, _Uses):
        known = record.__dict__["_uses"] = _Uses(record)
    origins = [site.key for site in tensor.origins]
    if any(known.need.get(key) for key in origins):
        return False
    applied = sum(known.applied[key] for key in origins)
    if tensor.kind is Kind.ACTIVATED and applied > sum(known.losses[key] for key in origins):
        return False
    return not any(_is_shared(known, fault, site) for site in tensor.origins)


Key = tuple[str, int, int]


class _Uses:
    """What happens to what came about in each place.

    Args:
        record: all that happens.
    """

    def __init__(self, record: Record) -> None:
        self.applied: Counter[Key] = Counter()
        self.losses: Counter[Key] = Counter()
        self.need: dict[Key, bool] = {}
        self.callers: dict[Key, set[Key]] = {}
        for event in record.events:
            if isinstance(event, Applied):
                self.applied[event.site.key] += 1
                if event.calls:
                    self.callers.setdefault(event.site.key, set()).add(event.calls[-1].key)
                if event.effect in _NEEDS_PROBABILITIES:
                    self._note(event.input, need=True)
            elif isinstance(event, LossCall):
                self._note(event.input, need=event.loss.takes == PROBABILITY)
            elif isinstance(event, Compared | Scored | Returned):
                self._note(event.tensor, need=True)

    def _note(self, tensor: Tensor, *, need: bool) -> None:
        for site in tensor.origins:
            self.losses[site.key] += not need
            self.need[site.key] = need or self.need.get(site.key, False)


def _is_shared(known: _Uses, fault: Event, site: Site) -> bool:
    """Whether it stands in a function that is called in several places, and is no method.

    A function that has the loss too is called for the loss.
    """
    found = at(site)
    if found is None:
        return True
    code, node = found
    scope = code.scope(node)
    if isinstance(scope, ast.Module) or isinstance(code.parents.get(scope), ast.ClassDef):
        return False
    end = at(fault.site)
    if end is not None and end[0] is code and code.scope(end[1]) is scope:
        return False
    if isinstance(scope, ast.Lambda):
        return True
    named = [each for each in code.names.get(scope.name, ()) if isinstance(each.ctx, ast.Load)]
    return len(named) > 1 or len(known.callers.get(site.key, ())) > 1


def logits_at_the_loss(event: LossCall) -> tuple[Syntax, ast.expr, str] | None:
    """The argument of a loss, and the name to give it in its place.

    Where ``p = softmax(z)`` is read elsewhere too, only the loss changes, from p to z.
    """
    found = named_activation(event)
    if found is None or not isinstance(found[1].given, ast.Name):
        return None
    place, activation = found
    return activation.code, place, found[1].given.id


def named_activation(event: LossCall) -> tuple[ast.expr, Activation] | None:
    """The argument p of a loss, and the activation of ``p = softmax(z)``.

    Only where p is read elsewhere too and neither name changes its value in between.
    """
    found = call_at(event.site)
    activation = activation_at(event.input.origin) if len(event.input.origins) == 1 else None
    if found is None or activation is None:
        return None
    code, call = found
    given = input_of(call)
    if activation.code is not code or not isinstance(given, ast.Name):
        return None
    scope = code.scope(call)
    (*_, value) = [None, *stores(code, scope, given.id)]
    parent = code.parents.get(activation.node)
    single = isinstance(parent, ast.Assign) and parent.targets == [value] and value is not None
    if not single or len(stores(code, scope, given.id)) != 1:
        return None
    if len(loads(code, scope, given.id)) < 2:
        return None
    names = [each.id for each in ast.walk(activation.node) if isinstance(each, ast.Name)]
    if given.id in names:
        return None
    stable = all(is_stable(code, scope, name, activation.node, call) for name in names)
    return (given, activation) if stable else None
