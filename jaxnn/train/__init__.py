"""Training: objectives, the pure step, the compiled epoch, and a thin ``fit`` around them."""

from jaxnn.train._early_stopping import Policy as Policy
from jaxnn.train._early_stopping import early_stopping as early_stopping
from jaxnn.train._epoch import epoch_order as epoch_order
from jaxnn.train._epoch import make_epoch as make_epoch
from jaxnn.train._evaluate import evaluate as evaluate
from jaxnn.train._evaluate import predict as predict
from jaxnn.train._fit import Result as Result
from jaxnn.train._fit import fit as fit
from jaxnn.train._fit_many import Many as Many
from jaxnn.train._fit_many import fit_many as fit_many
from jaxnn.train._history import History as History
from jaxnn.train._objective import Objective as Objective
from jaxnn.train._objective import Terms as Terms
from jaxnn.train._objective import supervised as supervised
from jaxnn.train._partition import Partition as Partition
from jaxnn.train._partition import partition as partition
from jaxnn.train._state import TrainState as TrainState
from jaxnn.train._step import make_step as make_step
