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
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {"weight_decay": 1e-4}),
    "radam": ("RAdam", {}),
}
KERAS = {
    "nesterov-form=keras": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adagrad-form=keras": ("Adagrad", {}),
    "adadelta-form=keras": ("Adadelta", {}),
    "rmsprop-form=keras": ("RMSprop", {}),
    "rmsprop-form=keras-momentum=0.9": ("RMSprop", {"momentum": 0.9}),
    "nadam-form=keras": ("Nadam", {}),
    "amsgrad-form=keras": ("Adam", {"amsgrad": True}),
}
BY_ID = {case.id: case for case in CASES}


def problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(6), rng.standard_normal((STEPS, 6))


def way(case: Case, start: np.ndarray, gradients: np.ndarray, rate) -> np.ndarray:
    return start + np.cumsum(follow(case, start, gradients, rate, constant=True), axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCH)
def test_the_oracle_is_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    start, gradients = problem()
    kind, options = TORCH[name]
    # PyTorch keeps NAdam's product of momenta in float32, and adds RAdam's eps before the bias correction.
    rtol = {"NAdam": 1e-6, "RAdam": 1e-7}.get(kind, 1e-10)
    parameter = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = getattr(torch.optim, kind)([parameter], lr=RATE, **options)
    for t, wanted in enumerate(way(BY_ID[name], start, gradients, RATE)):
        parameter.grad = torch.tensor(gradients[t], dtype=torch.float64)
        optimizer.step()
        np.testing.assert_allclose(parameter.detach().numpy(), wanted, rtol=rtol, atol=rtol)


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

    assert first(optim.adagrad(0.01, form="torch")) == pytest.approx(-0.01)
    assert first(optim.adagrad(0.01)) == pytest.approx(-0.01 / np.sqrt(1.1), rel=1e-6)
    assert first(optim.rmsprop(0.01, form="torch")) == pytest.approx(-0.1, rel=1e-6)
    assert first(optim.adadelta()) == pytest.approx(-np.sqrt(1e-6 / (0.1 + 1e-6)), rel=1e-5)
    assert first(optim.adadelta(form="keras")) == pytest.approx(
        -1e-3 * np.sqrt(1e-7 / (0.05 + 1e-7)), rel=1e-5
    )
