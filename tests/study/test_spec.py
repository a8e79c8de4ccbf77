"""What a study is refused for before it begins, each in one line."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from xent._errors import InputError
from xent.study import DataSpec, Formulation, ModelSpec, StudySpec, TrainingSpec, load_dataset
from xent.study._formulations import find_formulations
from xent.study._spec import canonical, check_formulations, check_spec, trial_key

SPEC = StudySpec(DataSpec("synthetic:n=100,features=2"))


def study(**changes):
    training = {key: changes.pop(key) for key in list(changes) if hasattr(SPEC.training, key)}
    model = {key: changes.pop(key) for key in list(changes) if hasattr(SPEC.model, key)}
    spec = replace(SPEC, **changes)
    if training:
        spec = replace(spec, training=TrainingSpec(**training))
    return replace(spec, model=ModelSpec(**model)) if model else spec


def test_defaults_pass():
    check_spec(SPEC)
    assert SPEC.linear
    assert not study(kind="mlp", widths=(3,)).linear
    assert not study(kind="torch.nn:Linear").linear


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adagrad"}, "compare: --optimizer must be one of adam, adamw, sgd, lbfgs; "
                                   "got "
         "'adagrad'. Try adam."),
        ({"protocol": "fair"}, "compare: --protocol must be one of as-written, matched; got "
                               "'fair'. Try "
         "as-written."),
        ({"dtype": "float16"}, "compare: --dtype must be one of float32, float64; got 'float16'. "
                               "Try "
         "float32."),
        ({"seeds": ()}, "compare: --seeds must be at least 1; got 0. Give --seeds 10."),
        ({"seeds": (1, 1)}, "compare: --seeds must be different whole numbers from 0; got [1, 1]. "
                            "Give "
         "--seeds 10."),
        ({"seeds": (-1,)}, "compare: --seeds must be different whole numbers from 0; got [-1]. "
                           "Give "
         "--seeds 10."),
        ({"epochs": 0}, "compare: --epochs must be a whole number of at least 1; got 0. Try 50."),
        ({"epochs": 2.5}, "compare: --epochs must be a whole number of at least 1; got 2.5. Try "
                          "50."),
        ({"batch_size": 0}, "compare: --batch-size must be a whole number of at least 1; got 0. "
                            "Try 50."),
        ({"learning_rate": 0.0}, "compare: --learning-rate must be above 0 and finite; got 0. "
                                 "Give a "
         "larger number."),
        ({"learning_rate": float("nan")}, "compare: --learning-rate must be above 0 and finite; "
                                          "got nan. "
         "Give a larger number."),
        ({"gradient_norm": -1.0}, "compare: --gradient-norm must be above 0 and finite; got -1. "
                                  "Give a "
         "larger number."),
        ({"weight_decay": -1.0}, "compare: --weight-decay must be at least 0 and finite; got -1. "
                                 "Give 0 "
         "or more."),
        ({"momentum": 1.0, "optimizer": "sgd"}, "compare: --momentum must be in [0, 1); got 1.0. "
                                                "Try 0.9."),
        ({"momentum": 0.9}, "compare: --momentum must be used with --optimizer sgd; got adam. Add "
         "--optimizer sgd."),
        ({"kind": "mlp"}, "compare: --widths must be given with --model mlp; got nothing. Give "
                          "--widths 64 "
         "or --widths 64,32."),
        ({"widths": (3,)}, "compare: --widths must be used with --model mlp; got --model linear. "
                           "Add "
         "--model mlp."),
        ({"kind": "mlp", "widths": (3, 0)}, "compare: --widths must be whole numbers of at least "
                                            "1; got "
         "[3, 0]. Try 64,32."),
        ({"head": "out"}, "compare: --head must be used with a model of your own; got --model "
                          "linear. "
         "Leave it out."),
        ({"kind": "forest"}, "compare: --model must be linear, mlp or package.module:factory; got "
         "'forest'. Use --model linear."),
        ({"kind": "no.such:net"}, "compare: --model must be package.module:name of something that "
                                  "can be "
         "imported; got 'no.such:net' (ModuleNotFoundError: No module named 'no'). Check the "
         "spelling, and that the module is on PYTHONPATH."),
        ({"kind": "torch.nn:Lnear"}, "compare: --model must be package.module:name of something "
                                     "that "
         "exists; got 'torch.nn:Lnear' (module torch.nn has no 'Lnear'). Check the spelling after "
         "the colon."),
        ({"kind": "torch:__version__"}, "compare: --model must be linear, mlp or "
                                        "package.module:factory; "
         "got torch:__version__ of type TorchVersion. Name a function factory(n_features, "
         "n_outputs) that returns an nn.Module."),
        ({"kind": "mlp", "widths": (3,), "converge": True}, "compare: --converge must be used "
                                                            "with --model "
         "linear; got --model mlp. Raise --epochs."),
        ({"converge": True, "protocol": "matched"}, "compare: --protocol matched must be used "
                                                    "with an "
         "optimiser that steps; got --converge, where all parametrisations meet anyway. Leave one "
         "of them out."),
        ({"optimizer": "lbfgs", "batch_size": 10}, "compare: --batch-size must be left out with "
                                                   "--optimizer "
         "lbfgs, which needs the full batch; got 10. Leave it out, or use --optimizer adam."),
        ({"kind": "torch.nn:Linear", "protocol": "matched"}, "compare: --protocol matched must be "
                                                             "used with "
         "a model whose head is known; got --model torch.nn:Linear without --head. Name its final "
         "nn.Linear with --head."),
    ],
)  # fmt: skip
def test_refused(changes, message):
    with pytest.raises(InputError) as caught:
        check_spec(study(**changes))
    assert str(caught.value) == message


@pytest.mark.parametrize("device", ["tpu9000", "cuda:77", "meta:x", ""])
def test_unknown_devices_are_refused(device):
    with pytest.raises(InputError) as caught:
        check_spec(study(device=device))
    assert str(caught.value).startswith(
        f"compare: --device must be a device that torch can use here; got {device!r} ("
    )
    assert str(caught.value).endswith("). Use cpu.")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "names", "optimizer", "message"),
    [
        (3, ["ce", "ovr"], "adam", "compare: --protocol matched must be used with formulations "
                                   "that have "
         "log-odds against one reference class; got ovr (P(k) = sigmoid(z_k) / sum over j of "
         "sigmoid(z_j)). Leave it out, or use --protocol as-written."),
        (2, ["bce", "ce2"], "lbfgs", "compare: --protocol matched must be used with sgd, adam or "
                                     "adamw; got "
         "lbfgs, whose first step depends on the parametrisation. Use --protocol as-written, or "
         "--converge."),
    ],
)  # fmt: skip
def test_what_can_not_be_matched(classes, names, optimizer, message):
    dataset = load_dataset(DataSpec(f"synthetic:n=100,features=2,classes={classes}"))
    spec = study(protocol="matched", optimizer=optimizer)
    with pytest.raises(InputError) as caught:
        check_formulations(spec, find_formulations(names, classes), dataset)
    assert str(caught.value) == message


def test_canonical_is_plain_json():
    spec = study(kind="factory", factory=nn.Linear, head="out")
    assert canonical(spec.model) == {
        "kind": "factory",
        "widths": [],
        "head": "out",
        "factory": "torch.nn.modules.linear:Linear",
    }
    assert canonical(find_formulations(["bce"], 2)) == [{"name": "bce", "link": "sigmoid"}]


def test_keys():
    """Pinned: a key that changes without need throws away what earlier runs have kept."""
    (bce, ce2) = find_formulations(["bce", "ce2"], 2)
    key = trial_key(SPEC, bce, 0, "fingerprint", "0.1.0")
    assert key == trial_key(replace(SPEC), bce, 0, "fingerprint", "0.1.0")
    others = {
        trial_key(SPEC, ce2, 0, "fingerprint", "0.1.0"),
        trial_key(SPEC, bce, 1, "fingerprint", "0.1.0"),
        trial_key(SPEC, bce, 0, "other", "0.1.0"),
        trial_key(SPEC, bce, 0, "fingerprint", "0.2.0"),
        trial_key(study(epochs=51), bce, 0, "fingerprint", "0.1.0"),
    }
    assert len(others | {key}) == 6
    assert key == "114bca3cb94fed2a"


def test_the_key_of_a_trial_depends_on_the_code_of_the_users_own():
    def make(margin):
        def loss(outputs, target):
            return torch.nn.functional.softplus(margin - outputs[:, 0] * (2 * target - 1))

        return Formulation("mine", "a loss with a margin", lambda _: 1, loss, "sigmoid")

    spec = StudySpec(DataSpec("synthetic"), seeds=(0,))
    keys = [trial_key(spec, make(margin), 0, "print", "1") for margin in (1.0, 1.0, 5.0)]
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]
