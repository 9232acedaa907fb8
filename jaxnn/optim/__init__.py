"""Update rules, each written by hand from its source, as ``optax.GradientTransformation`` factories.

Every rule takes its learning rate as a float, a schedule or a traced value, has optax's default
hyper-parameters, and goes with optax's own chaining, masking, clipping, injection of hyper-parameters and
accumulation. Where libraries disagree about a rule, ``form="paper"``, ``"torch"`` or ``"keras"`` gives
theirs.
"""

from jaxnn.optim._accumulate import accumulate
from jaxnn.optim._adabelief import adabelief
from jaxnn.optim._adadelta import adadelta
from jaxnn.optim._adafactor import adafactor
from jaxnn.optim._adagrad import adagrad
from jaxnn.optim._adam import adam
from jaxnn.optim._adamax import adamax
from jaxnn.optim._adamw import adamw
from jaxnn.optim._amsgrad import amsgrad
from jaxnn.optim._dynamic_loss_scale import dynamic_loss_scale
from jaxnn.optim._lamb import lamb
from jaxnn.optim._lars import lars
from jaxnn.optim._lion import lion
from jaxnn.optim._momentum import momentum
from jaxnn.optim._muon import muon
from jaxnn.optim._nadam import nadam
from jaxnn.optim._nesterov import nesterov
from jaxnn.optim._radam import radam
from jaxnn.optim._rmsprop import rmsprop
from jaxnn.optim._rprop import rprop
from jaxnn.optim._sgd import sgd
from jaxnn.optim._skip_nonfinite import skip_nonfinite
from jaxnn.optim._yogi import yogi

__all__ = [
    "accumulate",
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "amsgrad",
    "dynamic_loss_scale",
    "lamb",
    "lars",
    "lion",
    "momentum",
    "muon",
    "nadam",
    "nesterov",
    "radam",
    "rmsprop",
    "rprop",
    "sgd",
    "skip_nonfinite",
    "yogi",
]
