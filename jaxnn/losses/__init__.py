"""Losses: pure functions of outputs and targets that reduce the last axis only, ``[..., k] -> [...]``.

``l1`` and ``l2`` make penalties of parameters, for ``train.supervised(..., penalty=)``.
"""

from jaxnn.losses._absolute_error import absolute_error as absolute_error
from jaxnn.losses._binary_cross_entropy import binary_cross_entropy as binary_cross_entropy
from jaxnn.losses._cosine_distance import cosine_distance as cosine_distance
from jaxnn.losses._cross_entropy import cross_entropy as cross_entropy
from jaxnn.losses._ctc import ctc as ctc
from jaxnn.losses._focal import focal as focal
from jaxnn.losses._hinge import hinge as hinge
from jaxnn.losses._huber import huber as huber
from jaxnn.losses._kl_divergence import kl_divergence as kl_divergence
from jaxnn.losses._kl_divergence import kl_standard_normal as kl_standard_normal
from jaxnn.losses._penalties import l1 as l1
from jaxnn.losses._penalties import l2 as l2
from jaxnn.losses._squared_error import half_squared_error as half_squared_error
from jaxnn.losses._squared_error import squared_error as squared_error
