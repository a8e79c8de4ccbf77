"""The table of what operations make of the meaning of a tensor."""

from __future__ import annotations

from enum import Enum

from xent.wiring._flow._names import canonical


class Effect(Enum):
    """What an operation does to the meaning of the tensor that it is given."""

    SOFTMAX = "gives probabilities that sum to 1"
    LOG_SOFTMAX = "gives their logarithms"
    SIGMOID = "gives a probability for each number"
    LOG_SIGMOID = "gives its logarithm"
    SCORES = "gives scores without bounds"
    ACTIVATED = "bounds or cuts scores"
    SAME = "changes nothing"
    RESHAPED = "gives the same numbers in another shape"
    BATCHED = "gives the same numbers, samples first"
    NORMALISED = "gives scores of a whole batch, of which no more is known"
    POOLED = "averages over positions"
    CLASS_INDEX = "gives the class of the largest number"
    EXTREME = "gives the largest numbers and where they stand"
    LOG = "takes the logarithm"
    EXP = "takes the exponential"
    SUM = "sums"
    CLIPPED = "keeps numbers off the bounds"
    JOINED = "puts several tensors into one"
    LOGIT = "gives the logits of probabilities"
    ROUNDED = "rounds to the nearest whole number"
    LOGSUMEXP = "gives the logarithm of the sum of exponentials"


def _rows(*rows: tuple[Effect, str]) -> dict[str, Effect]:
    return {name: effect for effect, names in rows for name in names.split()}


# Functions of torch, torch.nn.functional and torch.special, and methods of tensors.
OPERATIONS = _rows(
    (Effect.SOFTMAX, "softmax softmin gumbel_softmax softmax_"),
    (Effect.LOG_SOFTMAX, "log_softmax"),
    (Effect.SIGMOID, "sigmoid sigmoid_ expit"),
    (Effect.LOG_SIGMOID, "logsigmoid"),
    (Effect.SCORES, "linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d "
                    "conv_transpose3d"),
    (Effect.ACTIVATED, "relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu celu gelu silu mish "
                       "tanh tanh_ softplus softsign hardtanh hardswish threshold rrelu rrelu_"),
    (Effect.SAME, "dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout dropout_ "
                  "contiguous detach detach_ clone cpu cuda to float double half bfloat16 type "
                  "numpy requires_grad_ requires_grad data type_as from_numpy as_tensor tensor "
                  "asarray array astype copy mps xpu retain_grad squeeze_ pin_memory item tolist"),
    (Effect.RESHAPED, "view reshape squeeze unsqueeze transpose t permute movedim moveaxis "
                      "swapaxes swapdims expand expand_as repeat repeat_interleave "
                      "view_as reshape_as unflatten narrow select index_select gather "
                      "masked_select ravel unsqueeze_ transpose_ T mT flip roll chunk split "
                      "unbind take take_along_dim expand_dims atleast_1d atleast_2d "
                      "broadcast_to tile"),
    (Effect.BATCHED, "flatten"),
    (Effect.POOLED, "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d "
                    "avg_pool2d avg_pool3d interpolate upsample pad grid_sample"),
    (Effect.NORMALISED, "batch_norm"),
    (Effect.CLASS_INDEX, "argmax argmin multinomial bucketize one_hot"),
    (Effect.EXTREME, "max topk sort amax"),
    (Effect.LOG, "log log_"),
    (Effect.EXP, "exp exp_"),
    (Effect.SUM, "sum"),
    (Effect.CLIPPED, "clamp clamp_ clip clip_ clamp_min clamp_max nan_to_num"),
    (Effect.JOINED, "cat concat concatenate stack hstack vstack dstack row_stack column_stack"),
    (Effect.LOGIT, "logit"),
    (Effect.ROUNDED, "round round_"),
    (Effect.LOGSUMEXP, "logsumexp"),
)  # fmt: skip

LAYERS = _rows(
    (Effect.SOFTMAX, "Softmax Softmax2d Softmin"),
    (Effect.LOG_SOFTMAX, "LogSoftmax"),
    (Effect.SIGMOID, "Sigmoid"),
    (Effect.LOG_SIGMOID, "LogSigmoid"),
    (Effect.SCORES, "Linear LazyLinear Bilinear Conv1d Conv2d Conv3d LazyConv1d LazyConv2d "
                    "LazyConv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d"),
    (Effect.ACTIVATED, "ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Tanh Softplus Softsign "
                       "Hardtanh Hardswish Threshold RReLU PReLU"),
    (Effect.SAME, "Identity Dropout Dropout1d Dropout2d Dropout3d AlphaDropout "
                  "FeatureAlphaDropout"),
    (Effect.RESHAPED, "Unflatten PixelShuffle"),
    (Effect.BATCHED, "Flatten"),
    (Effect.POOLED, "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AvgPool1d AvgPool2d "
                    "AvgPool3d Upsample UpsamplingNearest2d UpsamplingBilinear2d ZeroPad2d"),
    (Effect.NORMALISED, "BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d "
                        "SyncBatchNorm"),
)  # fmt: skip

_FUNCTION_MODULES = {"torch", "torch.nn.functional", "torch.special", "torch.Tensor", "torch._C"}
_ARRAY_MODULES = {"numpy", "scipy.special"}

# The argument that says how many numbers a layer gives for each sample or position.
SIZES = {"Linear": (1, "out_features"), "LazyLinear": (0, "out_features"),
         "Bilinear": (2, "out_features")} | {
    f"{lazy}{name}{axes}d": (0 if lazy else 1, "out_channels")
    for lazy in ("", "Lazy") for name in ("Conv", "ConvTranspose") for axes in (1, 2, 3)
}  # fmt: skip

# The argument that says which axis is normalised over, by function and by layer.
AXIS_POSITION = {"softmax": 1, "log_softmax": 1, "softmin": 1, "gumbel_softmax": 4}
AXIS_NAMES = ("dim", "axis")

# Methods of a module that give the module itself.
GIVE_THEMSELVES = frozenset(
    [
        "to",
        "cuda",
        "cpu",
        "eval",
        "train",
        "double",
        "half",
        "float",
        "bfloat16",
        "requires_grad_",
        "apply",
        "share_memory",
        "to_empty",
        "compile",
        "type",
        "xpu",
        "mps",
    ]
)

_UNWRAPPED = {
    "torch.nn.DataParallel", "torch.nn.parallel.DataParallel",
    "torch.nn.parallel.DistributedDataParallel", "torch.compile", "torch.jit.script",
    "torch.jit.trace", "torch.nn.utils.weight_norm", "torch.nn.utils.spectral_norm",
    "torch.nn.utils.parametrizations.weight_norm", "torch.nn.utils.parametrizations.spectral_norm",
    "torch.nn.SyncBatchNorm.convert_sync_batchnorm", "copy.deepcopy", "copy.copy",
    "torch.autograd.Variable",
}  # fmt: skip


def gives_its_argument(name: str) -> bool:
    """Whether a library's function gives back its first argument, wrapped or copied."""
    return name in _UNWRAPPED


def function_effect(name: str) -> tuple[str, Effect] | None:
    """The operation of a library's function; None for every other function.

    >>> function_effect("torch.nn.functional.softmax")
    ('softmax', <Effect.SOFTMAX: 'gives probabilities that sum to 1'>)
    >>> function_effect("jax.nn.softmax") is None
    True
    """
    module, _, last = canonical(name).rpartition(".")
    if module in _FUNCTION_MODULES and last in OPERATIONS:
        return last, OPERATIONS[last]
    if module in _ARRAY_MODULES and last in OPERATIONS:
        return last, OPERATIONS[last]
    return None


def method_effect(name: str) -> Effect | None:
    """The operation of a method of a tensor."""
    return OPERATIONS.get(name)


def layer_effect(name: str) -> tuple[str, Effect] | None:
    """The operation of a layer of ``torch.nn``.

    >>> layer_effect("torch.nn.Sigmoid")
    ('Sigmoid', <Effect.SIGMOID: 'gives a probability for each number'>)
    """
    module, _, last = canonical(name).rpartition(".")
    return (last, LAYERS[last]) if module == "torch.nn" and last in LAYERS else None
