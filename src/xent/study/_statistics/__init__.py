"""Paired statistics: pure functions of arrays, with nothing of datasets or models in them.

Three questions, three designs: do these fitted models differ (:func:`paired_rows`), do the training
procedures differ over seeds on one split (:func:`crossed`) or over splits (:func:`resampled`), and
do procedures differ over many data sets (:func:`wilcoxon`, :func:`friedman`). Each gives a
:class:`Difference` or a test, and :func:`verdict` says what it means beside a margin.
"""

from xent.study._statistics._areas import DeLong as DeLong
from xent.study._statistics._areas import area_values as area_values
from xent.study._statistics._areas import delong as delong
from xent.study._statistics._bootstrap import bootstrap_intervals as bootstrap_intervals
from xent.study._statistics._bootstrap import paired_bootstrap as paired_bootstrap
from xent.study._statistics._calibration import ece_interval as ece_interval
from xent.study._statistics._counts import McNemar as McNemar
from xent.study._statistics._counts import exact_mcnemar as exact_mcnemar
from xent.study._statistics._counts import wilson as wilson
from xent.study._statistics._data_sets import Friedman as Friedman
from xent.study._statistics._data_sets import Wilcoxon as Wilcoxon
from xent.study._statistics._data_sets import friedman as friedman
from xent.study._statistics._data_sets import holm as holm
from xent.study._statistics._data_sets import wilcoxon as wilcoxon
from xent.study._statistics._difference import Difference as Difference
from xent.study._statistics._difference import Source as Source
from xent.study._statistics._replicates import FTest as FTest
from xent.study._statistics._replicates import combined_five_by_two as combined_five_by_two
from xent.study._statistics._replicates import crossed as crossed
from xent.study._statistics._replicates import resampled as resampled
from xent.study._statistics._rows import paired_rows as paired_rows
from xent.study._statistics._verdicts import IDENTICAL as IDENTICAL
from xent.study._statistics._verdicts import VERDICTS as VERDICTS
from xent.study._statistics._verdicts import Needed as Needed
from xent.study._statistics._verdicts import check_level as check_level
from xent.study._statistics._verdicts import check_margin as check_margin
from xent.study._statistics._verdicts import needed as needed
from xent.study._statistics._verdicts import needed_together as needed_together
from xent.study._statistics._verdicts import verdict as verdict
