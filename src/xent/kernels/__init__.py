"""Kernels: the arithmetic of the losses for one kind of device each."""

from xent.kernels._cpu import empty_cache as empty_cache
from xent.kernels._cpu import sigmoid_sums as sigmoid_sums
from xent.kernels._dispatch import nll_loss as nll_loss
from xent.kernels._dispatch import probability_loss as probability_loss
from xent.kernels._dispatch import sigmoid_loss as sigmoid_loss
from xent.kernels._dispatch import soft_target_loss as soft_target_loss
from xent.kernels._dispatch import softmax_loss as softmax_loss
from xent.kernels._dispatch import softmax_statistics as softmax_statistics
from xent.kernels._reference import Statistics as Statistics
from xent.kernels._reference import product as product
from xent.kernels._reference import quotient as quotient
from xent.kernels._reference import row_weights as row_weights
from xent.kernels._settings import ElementSettings as ElementSettings
from xent.kernels._settings import OutOfRange as OutOfRange
from xent.kernels._settings import RowSettings as RowSettings
