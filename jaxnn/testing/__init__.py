"""Property tests for gradients, usable on any JAX function.

``check_function`` takes any function of pytrees; ``check_layer`` knows what a layer promises besides.
"""

from jaxnn.testing._facts import Call as Call
from jaxnn.testing._function import FUNCTION_LANES as FUNCTION_LANES
from jaxnn.testing._function import check_function as check_function
from jaxnn.testing._lanes import EXTRA_LANES as EXTRA_LANES
from jaxnn.testing._lanes import LANES as LANES
from jaxnn.testing._layer import check_layer as check_layer
from jaxnn.testing._loss import LOSS_LANES as LOSS_LANES
from jaxnn.testing._loss import check_loss as check_loss
from jaxnn.testing._loss_laws import HardPoint as HardPoint
from jaxnn.testing._optimizer import OPTIMIZER_LANES as OPTIMIZER_LANES
from jaxnn.testing._optimizer import check_optimizer as check_optimizer
from jaxnn.testing._report import CheckError as CheckError
from jaxnn.testing._report import Outcome as Outcome
from jaxnn.testing._report import Report as Report
from jaxnn.testing._report import Verdict as Verdict
from jaxnn.testing._tolerance import tolerance as tolerance
