"""Every rule in every form through ``check_optimizer``: its oracle, its peer, and all the laws that apply.

What every run leaves out for the time it takes, ``test_oracles`` has: 50 steps beside oracles and optax.
"""

from typing import Any

import jax
import numpy as np
import optax
import pytest

from jaxnn import testing
from tests.optim.cases import CASES, Case, follow

# With the default eps of 1e-8, ten times the gradient is within 1e-6 of no change. Keras adds 1e-7, in all but
# Nadam to the root of an uncorrected moment, a thirtieth of the gradient at first: there it is not.
SCALE_FREE = ("adam", "adamax", "adamw", "amsgrad", "lion", "nadam", "rprop")
UNIT_STEP = ("adam", "adamax")
QUICK = ("state", "symmetry", "dtypes")


def declarations(case: Case) -> dict[str, Any]:
    """Return what the kit must be told of a case."""
    plain = not case.options

    def oracle(params: Any, gradients: list[Any]) -> list[Any]:
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *gradients)
        updates = follow(case, params, stacked, 0.1, constant=True)
        return [jax.tree.map(lambda u, t=t: u[t], updates) for t in range(len(gradients))]

    decays: Any = case.decays
    if case.rule == "muon" and case.decays:
        decays = {"dense": {"kernel": True, "bias": False}, "scale": False}
    return {
        "oracle": oracle,
        "reference": None if case.peer is None else case.make_peer(0.1),
        "decays": decays,
        "odd": case.rule != "yogi",  # starts its mean gradient at 1e-6, as optax
        "scale_invariant": case.rule in SCALE_FREE
        and "eps" not in case.options
        and (case.rule == "nadam" or case.options.get("form") != "keras"),
        "unit_step": 0.1 if case.rule in UNIT_STEP and plain else None,
        "descends": case.rule != "rprop" or not plain,  # optax's first step is zero
    }


def factory(case: Case) -> Any:
    def make(learning_rate: Any) -> optax.GradientTransformation:
        return case.make(learning_rate)

    make.__name__ = case.id
    return make


@pytest.fixture(autouse=True)
def _usual_promotion():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("case", [c for c in CASES if not c.options], ids=lambda case: case.id)
def test_a_rule_obeys_its_laws(case: Case) -> None:
    testing.check_optimizer(factory(case), **declarations(case), lanes=QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_form_obeys_every_law(case: Case) -> None:
    testing.check_optimizer(factory(case), **declarations(case))
