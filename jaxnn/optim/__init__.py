"""Update rules, each written by hand from its source, as ``optax.GradientTransformation`` factories."""

from jaxnn.optim._adadelta import adadelta
from jaxnn.optim._adam import adam
from jaxnn.optim._momentum import momentum
from jaxnn.optim._nesterov import nesterov
from jaxnn.optim._rmsprop import rmsprop
from jaxnn.optim._sgd import sgd

__all__ = ["adadelta", "adam", "momentum", "nesterov", "rmsprop", "sgd"]
