"""Scoring: what predictions are worth, and what is wrong with them."""

from xent.scoring._calibration import Calibration as Calibration
from xent.scoring._calibration import HistogramAuc as HistogramAuc
from xent.scoring._calibration import calibration as calibration
from xent.scoring._calibration import histogram_auc as histogram_auc
from xent.scoring._diagnosis import class_order_findings as class_order_findings
from xent.scoring._diagnosis import objective_findings as objective_findings
from xent.scoring._diagnosis import prediction_findings as prediction_findings
from xent.scoring._diagnosis import value_findings as value_findings
from xent.scoring._exact import MacroAuc as MacroAuc
from xent.scoring._exact import auc as auc
from xent.scoring._exact import macro_auc as macro_auc
from xent.scoring._findings import FINDINGS as FINDINGS
from xent.scoring._findings import Finding as Finding
from xent.scoring._findings import FindingKind as FindingKind
from xent.scoring._findings import finding as finding
from xent.scoring._histogram import NATIVE as NATIVE
from xent.scoring._histogram import Histogram as Histogram
from xent.scoring._partials import Partials as Partials
from xent.scoring._partials import wilson_interval as wilson_interval
from xent.scoring._recalibration import Recalibration as Recalibration
from xent.scoring._recalibration import recalibration as recalibration
from xent.scoring._rows import per_row_loss as per_row_loss
from xent.scoring._scores import Scores as Scores
from xent.scoring._scores import score_rows as score_rows
from xent.scoring._sums import ExactSum as ExactSum
from xent.scoring._sums import WeightedMean as WeightedMean
