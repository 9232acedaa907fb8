"""The oracles themselves, against PyTorch and Keras: that they say what those libraries do."""

import os

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import optim
from tests.optim.cases import CASES, Case, follow

STEPS, RATE = 20, 0.1
TORCH = {
    "nesterov-form=torch": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adagrad-form=torch": ("Adagrad", {}),
    "adadelta-form=torch": ("Adadelta", {}),
    "rmsprop-form=torch": ("RMSprop", {}),
    "rmsprop-form=torch-momentum=0.9-centered=True": ("RMSprop", {"momentum": 0.9, "centered": True}),
    "rprop-form=torch": ("Rprop", {}),
    "nadam-form=torch": ("NAdam", {}),
    "amsgrad-form=torch": ("Adam", {"amsgrad": True}),
    "adam-form=torch": ("Adam", {}),
    "adamw-form=torch": ("AdamW", {}),
    "adamax-form=torch": ("Adamax", {}),
    "radam-form=torch": ("RAdam", {}),
}
KERAS = {
    "nesterov-form=keras": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adagrad-form=keras": ("Adagrad", {}),
    "adadelta-form=keras": ("Adadelta", {}),
    "rmsprop-form=keras": ("RMSprop", {}),
    "rmsprop-form=keras-momentum=0.9": ("RMSprop", {"momentum": 0.9}),
    "nadam-form=keras": ("Nadam", {}),
    "amsgrad-form=keras": ("Adam", {"amsgrad": True}),
    "adam-form=keras": ("Adam", {}),
    "adamw-form=keras": ("AdamW", {}),
    "adamax-form=keras": ("Adamax", {}),
}
BY_ID = {case.id: case for case in CASES}


def problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(6), rng.standard_normal((STEPS, 6))


def way(case: Case, start: np.ndarray, gradients: np.ndarray, rate) -> np.ndarray:
    return start + np.cumsum(follow(case, start, gradients, rate, constant=True), axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e-12, 1e4])
@pytest.mark.parametrize("rate", [RATE, 100.0, 1e-7])
@pytest.mark.parametrize("name", TORCH)
def test_the_oracle_is_pytorch(name: str, scale: float, rate: float) -> None:
    torch = pytest.importorskip("torch")
    start, gradients = problem()
    gradients *= scale
    kind, options = TORCH[name]
    # PyTorch keeps NAdam's product of momenta in float32.
    rtol = 1e-6 if kind == "NAdam" else 1e-10
    parameter = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = getattr(torch.optim, kind)([parameter], lr=rate, **options)
    for t, wanted in enumerate(way(BY_ID[name], start, gradients, rate)):
        parameter.grad = torch.tensor(gradients[t], dtype=torch.float64)
        optimizer.step()
        # Relative to the way that was gone, which may be short beside the parameters.
        way_gone = np.linalg.norm(wanted - start)
        apart = np.linalg.norm(parameter.detach().numpy() - wanted)
        assert apart <= rtol * way_gone + 1e-14


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KERAS)
def test_the_oracle_is_keras(name: str) -> None:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    start, gradients = problem()
    kind, options = KERAS[name]
    variable = keras.Variable(start.astype(np.float32), dtype="float32")
    optimizer = getattr(keras.optimizers, kind)(RATE, **options)
    for t, wanted in enumerate(way(BY_ID[name], start, gradients, RATE)):
        optimizer.apply([jnp.asarray(gradients[t], jnp.float32)], [variable])
        np.testing.assert_allclose(np.asarray(variable), wanted, rtol=2e-4, atol=2e-6)


def test_a_form_has_the_constants_of_its_library() -> None:
    one = jnp.asarray(1.0)

    def first(rule) -> float:
        return float(rule.update(one, rule.init(one))[0])

    # Gradients near eps, where its place shows most: of Adam and Adamax at once, of RAdam from the sixth step on.
    small = jnp.asarray(1e-7)

    def last(rule, steps: int) -> float:
        state = rule.init(small)
        for _ in range(steps):
            step, state = rule.update(small, state)
        return float(step)

    assert last(optim.adam(1.0), 1) == pytest.approx(-1 / 1.1, rel=1e-4)
    assert last(optim.adam(1.0, form="keras"), 1) == pytest.approx(-1 / (1 + 1000**0.5), rel=1e-4)
    assert last(optim.adamax(1.0), 1) == pytest.approx(-1 / 1.1, rel=1e-4)
    assert last(optim.adamax(1.0, form="keras"), 1) == pytest.approx(-1 / 2, rel=1e-4)
    assert last(optim.adamax(1.0, form="paper"), 1) == pytest.approx(-1, rel=1e-4)
    c2 = 1 - 0.999**6
    assert last(optim.radam(1.0, form="torch"), 6) / last(optim.radam(1.0), 6) == pytest.approx(
        1.1 * c2**0.5 / (c2**0.5 + 0.1), rel=1e-3
    )
    assert last(optim.rprop(100.0, form="torch"), 1) == -50
    assert last(optim.rprop(1e-7, form="torch"), 1) == pytest.approx(-1e-6)
    rule = optim.adamw(0.5, form="keras")
    assert float(rule.update(0 * one, rule.init(one), one)[0]) == pytest.approx(-0.002)
    rule = optim.adamw(0.5, form="torch")
    assert float(rule.update(0 * one, rule.init(one), one)[0]) == pytest.approx(-0.005)
    assert first(optim.adagrad(0.01, form="torch")) == pytest.approx(-0.01)
    assert first(optim.adagrad(0.01)) == pytest.approx(-0.01 / np.sqrt(1.1), rel=1e-6)
    assert first(optim.rmsprop(0.01, form="torch")) == pytest.approx(-0.1, rel=1e-6)
    assert first(optim.adadelta()) == pytest.approx(-np.sqrt(1e-6 / (0.1 + 1e-6)), rel=1e-5)
    assert first(optim.adadelta(form="keras")) == pytest.approx(
        -1e-3 * np.sqrt(1e-7 / (0.05 + 1e-7)), rel=1e-5
    )
