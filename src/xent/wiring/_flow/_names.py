"""Full names of what libraries offer, whichever of their modules it was imported from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

# xent's own losses and torch's have the same names and meanings.
_MODULES = re.compile(r"^torch\.nn\.modules\.\w+\.|^xent\.nn\.|^torch\.nn\.modules\.(?=[A-Z])")
_MOVED = {
    "xent.functional": "torch.nn.functional",
    "xent.nn": "torch.nn",
    "torch._C._nn": "torch.nn.functional",
    "torch._nn": "torch.nn.functional",
    "torch.functional": "torch",
    "torch.nn.parameter": "torch.nn",
    "lightning.pytorch": "pytorch_lightning",
    "lightning": "pytorch_lightning",
    "pytorch_lightning.core.module": "pytorch_lightning",
    "pytorch_lightning.core.lightning": "pytorch_lightning",
    "sklearn.metrics._classification": "sklearn.metrics",
    "sklearn.metrics._ranking": "sklearn.metrics",
    "torchvision.ops.focal_loss": "torchvision.ops",
}


def canonical(name: str) -> str:
    """The name under which the tables know it.

    >>> canonical("torch.nn.modules.loss.CrossEntropyLoss")
    'torch.nn.CrossEntropyLoss'
    >>> canonical("xent.functional.cross_entropy")
    'torch.nn.functional.cross_entropy'
    """
    if name.startswith(("torch.nn.modules.", "xent.nn.")):
        return _MODULES.sub("torch.nn.", name)
    module, _, last = name.rpartition(".")
    return f"{_MOVED[module]}.{last}" if module in _MOVED else name


def imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that an import binds, each with the full name that it was imported by.

    >>> list(imported(ast.parse("import torch.nn as nn, os.path").body[0]))
    [('nn', 'torch.nn'), ('os', 'os')]
    >>> list(imported(ast.parse("from torch.nn.functional import softmax as s").body[0]))
    [('s', 'torch.nn.functional.softmax')]
    """
    if isinstance(node, ast.Import):
        for name in node.names:
            top = name.name.partition(".")[0]
            yield (name.asname, name.name) if name.asname else (top, top)
    elif isinstance(node, ast.ImportFrom):
        for name in node.names:
            yield name.asname or name.name, "" if node.level else f"{node.module}.{name.name}"


def is_torch(module: str) -> bool:
    """Whether a module is PyTorch's own, which is never read.

    >>> is_torch("torch.nn"), is_torch("torchvision.models")
    (True, False)
    """
    return module == "torch" or module.startswith("torch.")
