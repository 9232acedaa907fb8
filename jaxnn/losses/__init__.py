"""Losses: pure functions of outputs and targets that reduce the last axis only, ``[..., k] -> [...]``."""

from jaxnn.losses._binary_cross_entropy import binary_cross_entropy as binary_cross_entropy
from jaxnn.losses._cross_entropy import cross_entropy as cross_entropy
from jaxnn.losses._squared_error import half_squared_error as half_squared_error
from jaxnn.losses._squared_error import squared_error as squared_error
