"""Calculus and back-propagation: the numbers that the courses print, through the experiments that show them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import activations, backprop_by_hand, calculus
from experiments.data import printed_networks
from jaxnn import losses


def close(found, expected, tolerance=1e-12) -> None:
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=tolerance)


@pytest.fixture(scope="module")
def traces():
    return backprop_by_hand.traces()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limit(dtype) -> None:
    """From calculus to convolutional networks: 4, from a step of 1e-4."""
    with jax.enable_x64(dtype == np.float64):
        for side in (-1, 1):
            found = float(calculus.hole(jnp.asarray(2 + side * 1e-4, dtype)))
            assert abs(found - 4) <= 1e-4 + 1e-11


def test_derivatives() -> None:
    """From calculus to convolutional networks: the chain rule's word problem and the rules."""
    assert float(jax.grad(calculus.chained)(2.0)) == 6
    with jax.enable_x64(True):
        assert all(gap < 1e-12 for _, gap in calculus.rules())
    ties = jax.grad(jnp.maximum, (0, 1))(3.0, 3.0)
    assert [float(slope) for slope in ties] == [0.5, 0.5]


def test_a_difference_quotient_has_a_best_step() -> None:
    with jax.enable_x64(True):
        steps, errors = calculus.quotient_errors(np.float64)
    best = {kind: steps[error.argmin()] for kind, error in errors.items()}
    assert 1e-10 < best["forward"] < 1e-6 < best["central"] < 1e-4
    # Error of the truncated series: h / 2 sin 1, and h^2 / 6 cos 1.
    close(errors["forward"][-1] / steps[-1], np.sin(1) / 2, 0.05)
    close(errors["central"][-1] / steps[-1] ** 2, np.cos(1) / 6, 0.01)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_graph_and_neuron_of_the_back_propagation_notebook(dtype, tolerance) -> None:
    assert [float(slope) for slope in jax.grad(backprop_by_hand.product, (0, 1, 2))(-2.0, 5.0, -4.0)] == [
        -4,
        -4,
        3,
    ]
    assert float(backprop_by_hand.product(-2.0, 5.0, -4.0)) == -12
    with jax.enable_x64(dtype == np.float64):
        at = [jnp.asarray(value, dtype) for value in (2, -1, -3, -2, -3)]
        dw0, dx0, dw1, dx1, dw2 = jax.grad(backprop_by_hand.neuron, (0, 1, 2, 3, 4))(*at)
    close([dx0, dx1], [0.3932238664829637, -0.5898357997244456], tolerance)
    close([dw0, dw1, dw2], [-0.19661193324148185, -0.3932238664829637, 0.19661193324148185], tolerance)


def test_units_of_deep_learning_day_1(traces) -> None:
    unit, layer = traces["rectified unit"].layers[0], traces["three sigmoid units"].layers[0]
    close(unit.z, [5.156918698599194])
    close(unit.a, [5.156918698599194])
    close(layer.z, [7.1, 7.2, 7.3])
    # The last digits of the third follow from 1 / (1 + exp(-7.3)).
    close(layer.a, [0.9991755753136017, 0.9992539711661633, 1 / (1 + np.exp(-7.3))])
    close(layer.a, [0.99917558, 0.99925397, 0.99932492], 1e-8)


def test_classifier_of_deep_learning_day_1(traces) -> None:
    hidden, output = traces["3-5-4 classifier"].layers
    close(hidden.z, [1.5, 3.4, 5.3, 1.3, 3.1])
    close(output.z, [4.59, 9.2, 4.79, 9.4])
    with jax.enable_x64(True):
        y = jax.nn.softmax(jnp.asarray(output.z))
        told = backprop_by_hand.with_epsilon(y, printed_networks.classifier().target)
    close(y, [0.00443583, 0.44573018, 0.00541793, 0.54441607], 1e-8)
    close(told, 0.6080413107681358, 1e-9)
    close(traces["3-5-4 classifier"].cost, 0.608041494451162, 1e-9)
    delta = [0.00443582573535311, 0.4457301769521687, 0.00541792978787816, -0.4555839324753999]
    bias = [-0.0049268777616156] * 4 + [0.0039415022092925]
    close(output.delta, delta)
    close(hidden.gradients["bias"], bias)
    close(output.gradients["kernel"], np.outer(hidden.a, delta))
    close(hidden.gradients["kernel"], np.outer([1, 2, 3], bias))


def test_regressor_of_deep_learning_day_1(traces) -> None:
    hidden, output = traces["3-5-4 regressor"].layers
    net = printed_networks.regressor(np.float32)
    mean = losses.squared_error(jnp.asarray(output.a, jnp.float32), net.target)
    np.testing.assert_allclose(traces["3-5-4 regressor"].cost, 32.5661, rtol=1e-6)
    np.testing.assert_allclose(mean, 16.28305, rtol=1e-6)
    np.testing.assert_allclose(mean / 2, 8.141525, rtol=1e-6)
    close(np.sum(hidden.a), 14.6)
    close(np.sum(output.a), 27.98)
    close(output.gradients["bias"], [2.59, 6.2, 0.79, 4.4])
    close(hidden.gradients["bias"], [6.698, 8.096, 9.494, 10.892, 2.75])
    close(output.gradients["kernel"][0], [3.885, 9.3, 1.185, 6.6])


def test_binary_network_of_deep_learning_day_1(traces) -> None:
    hidden, output = traces["5-10-1 binary"].layers
    close(hidden.z, [3, 6.2, 9.4, 3, 6.2, 9.4, 3, 6.2, 9.4, 11])
    close(output.z, [6.78])
    with jax.enable_x64(True):
        p = jax.nn.sigmoid(jnp.asarray(output.z))
        told = backprop_by_hand.with_epsilon(p, jnp.ones(1))
        other = losses.binary_cross_entropy(jnp.asarray(output.z), jnp.zeros(1))
    close(p, [0.99886501], 1e-8)
    close(told, 0.0011355297129812408, 1e-10)
    close(traces["5-10-1 binary"].cost, 0.00113562982660378, 1e-10)
    close(other, 6.781135629826604, 1e-10)
    close(output.delta, [-0.00113498524307798])
    close(hidden.gradients["bias"], [-0.0001134985243078] * 10)
    close(output.gradients["kernel"][[0, -1], 0], [-0.00340495572923394, -0.01248483767385777])
    net = printed_networks.binary(np.float32)
    single = losses.binary_cross_entropy(net.model.apply(net.params, {}, net.x)[0], net.target)
    close(single, 0.00113562982660378, 3e-8)


def test_equations_equal_jax_grad(traces) -> None:
    assert all(trace.residual <= 1e-12 for trace in traces.values())
    whole, mean = backprop_by_hand.batch_gradients(4)
    assert jax.tree.all(jax.tree.map(lambda a, b: np.allclose(a, b, rtol=0, atol=1e-12), whole, mean))


def test_activations() -> None:
    """Multi-layer networks and optimisation: what its plots of activations show."""
    with jax.enable_x64(True):
        x, values, slopes = activations.curves()
        assert all(gap < 1e-12 for _, gap in activations.identities())
    zero = int(np.flatnonzero(x == 0)[0])
    close(values["sigmoid"][x == 1], [0.7310585786300049])
    close([slopes["sigmoid"][zero], slopes["sigmoid"].max()], [0.25, 0.25])
    close(values["softplus"][zero], np.log(2))
    assert slopes["ReLU"][zero] == 0
    assert values["step"][zero] == 1
    assert not slopes["step"].any()
    assert {name: row[3] for row in activations.extremes() for name in [row[0]]}["softplus"] == "1000"
    assert all("nan" not in row[3] for row in activations.extremes())
