"""Studies: one model trained under several loss formulations, scored by their right links."""

from xent.study._bce_versus_ce import PUBLISHED as PUBLISHED
from xent.study._bce_versus_ce import PublishedModel as PublishedModel
from xent.study._bce_versus_ce import demo_spec as demo_spec
from xent.study._compare import compare as compare
from xent.study._comparison import Aggregate as Aggregate
from xent.study._comparison import Baselines as Baselines
from xent.study._comparison import Comparison as Comparison
from xent.study._comparison import FormulationResult as FormulationResult
from xent.study._comparison import Parameter as Parameter
from xent.study._comparison import Spread as Spread
from xent.study._dataset import Dataset as Dataset
from xent.study._dataset import DataSpec as DataSpec
from xent.study._dataset import load_dataset as load_dataset
from xent.study._evaluation import Trial as Trial
from xent.study._formulations import BUILT_IN as BUILT_IN
from xent.study._formulations import Formulation as Formulation
from xent.study._formulations import Modifiers as Modifiers
from xent.study._models import ModelSpec as ModelSpec
from xent.study._results import schema as schema
from xent.study._run import run_study as run_study
from xent.study._spec import StudySpec as StudySpec
from xent.study._training import TrainingSpec as TrainingSpec
