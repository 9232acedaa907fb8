"""Back-propagation by its four equations: printed nets to every digit, random nets against jax.grad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from printed_nets import binary, classifier, itself

import jaxnn as nn
from jaxnn import inspect, losses


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=0, atol=tolerance)


def test_a_graph_by_hand():
    graph = inspect.backprop_trace(lambda x, y, z: (x + y) * z, -2, 5, -4)
    assert [float(graph[name].value) for name in ("x", "y", "z", "v1", "f")] == [-2, 5, -4, 3, -12]
    assert [float(graph[name].gradient) for name in ("x", "y", "z", "v1", "f")] == [-4, -4, 3, -4, 1]


@pytest.fixture(scope="module")
def neuron():
    with jax.enable_x64(True):
        params = {"dense_0": {"kernel": jnp.array([[2.0], [-3.0]]), "bias": jnp.array([-3.0])}}
        model = nn.chain(nn.dense(1), jax.nn.sigmoid)
        return inspect.backprop_trace(model, params, {}, jnp.array([-1.0, -2.0]), None, itself)


def test_sigmoid_neuron(neuron):
    layer = neuron.layers[0]
    close(layer.z, [1.0])
    close(layer.a, [0.7310585786300049])
    close(layer.slope, [0.19661193324148185])
    close(neuron.input_gradient, [0.3932238664829637, -0.5898357997244456])
    close(layer.gradients["kernel"][:, 0], [-0.19661193324148185, -0.3932238664829637])
    close(layer.gradients["bias"], [0.19661193324148185])
    assert neuron.residual <= 1e-12


def test_sigmoid_neuron_operation_by_operation():
    with jax.enable_x64(True):
        graph = inspect.computation_graph(
            lambda w0, w1, w2, x0, x1: 1 / (1 + jnp.exp(-(w0 * x0 + w1 * x1 + w2))), 2, -3, -3, -1, -2
        )
        close([graph[n].gradient for n in ("x0", "x1")], [0.3932238664829637, -0.5898357997244456])
        close(
            [graph[n].gradient for n in ("w0", "w1", "w2")],
            [-0.19661193324148185, -0.3932238664829637, 0.19661193324148185],
        )
        close(graph["v4"].value, 1.0)


def test_one_unit_with_relu():
    with jax.enable_x64(True):
        for kernel, bias, z in (([1.0, 1.0], 0.15691869859919338, 5.156918698599194), ([0.1, 0.2], 0.5, 1.3)):
            params = {"dense_0": {"kernel": jnp.array(kernel)[:, None], "bias": jnp.array([bias])}}
            model = nn.chain(nn.dense(1), jax.nn.relu)
            trace = inspect.backprop_trace(model, params, {}, jnp.array([2.0, 3.0]), None, itself)
            close(trace.layers[0].z, [z])
            close(trace.layers[0].a, [z])


@pytest.mark.parametrize(
    ("kernel", "z", "a"),
    [
        (np.ones((4, 3)), [7.1, 7.2, 7.3], [0.9991755753136017, 0.9992539711661633, 0.9993249172693672]),
        (
            np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]]),
            [1.4, 2.2, 3.0],
            [0.8021838885585818, 0.9002495108803148, 0.9525741268224331],
        ),
    ],
)
def test_three_sigmoid_units(kernel, z, a):
    with jax.enable_x64(True):
        params = {"dense_0": {"kernel": jnp.asarray(kernel), "bias": jnp.array([0.1, 0.2, 0.3])}}
        model = nn.chain(nn.dense(3), jax.nn.sigmoid)
        x = jnp.array([1.0, 5.0, 2.0, -1.0])
        layer = inspect.backprop_trace(model, params, {}, x, None, itself).layers[0]
    close(layer.z, z)
    close(layer.a, a)


@pytest.fixture(scope="module")
def traced_classifier():
    with jax.enable_x64(True):
        model, params, x = classifier()
        target = jnp.array([0.0, 0.0, 0.0, 1.0])
        return inspect.backprop_trace(model, params, {}, x, target, losses.cross_entropy)


def test_softmax_classifier(traced_classifier):
    trace = traced_classifier
    hidden, output = trace.layers
    close(hidden.z, [1.5, 3.4, 5.3, 1.3, 3.1])
    close(hidden.a, [1.5, 3.4, 5.3, 1.3, 3.1])
    close(output.z, [4.59, 9.2, 4.79, 9.4])
    assert abs(trace.cost - 0.608041494451162) < 1e-12
    delta = [0.00443582573535311, 0.4457301769521687, 0.00541792978787816, -0.4555839324753999]
    bias = [-0.0049268777616156] * 4 + [0.0039415022092925]
    close(output.delta, delta)
    close(output.gradients["kernel"], np.outer([1.5, 3.4, 5.3, 1.3, 3.1], delta))
    close(hidden.gradients["bias"], bias)
    close(hidden.gradients["kernel"], np.outer([1, 2, 3], bias))
    assert trace.residual <= 1e-12


def test_linear_regressor():
    with jax.enable_x64(True):
        model, params, x = classifier()
        target = jnp.array([2.0, 3.0, 4.0, 5.0])
        trace = inspect.backprop_trace(model, params, {}, x, target, losses.half_squared_error)
    hidden, output = trace.layers
    assert abs(trace.cost - 32.5661) < 1e-12
    close(output.a, [4.59, 9.2, 4.79, 9.4])
    close(output.gradients["bias"], [2.59, 6.2, 0.79, 4.4])
    close(hidden.gradients["bias"], [6.698, 8.096, 9.494, 10.892, 2.75])
    close(output.gradients["kernel"][0], [3.885, 9.3, 1.185, 6.6])
    assert trace.residual <= 1e-12


@pytest.mark.parametrize("head", ["logits", "probability"])
def test_binary_classifier(head):
    """With the sigmoid in the loss, and with the sigmoid as the last activation."""
    with jax.enable_x64(True):
        model, params, x = binary()
        if head == "logits":
            trace = inspect.backprop_trace(
                model, params, {}, x, jnp.array([1.0]), losses.binary_cross_entropy
            )
        else:
            model = nn.chain(model.named("net"), jax.nn.sigmoid)

            def cost(outputs, targets):
                return -jnp.sum(targets * jnp.log(outputs) + (1 - targets) * jnp.log(1 - outputs), -1)

            trace = inspect.backprop_trace(model, {"net": params}, {}, x, jnp.array([1.0]), cost)
            close(trace.layers[1].a, [0.9988650147569220], 1e-9)
    hidden, output = trace.layers
    assert abs(trace.cost - 0.00113562982660378) < 1e-15
    close(hidden.z, [3, 6.2, 9.4, 3, 6.2, 9.4, 3, 6.2, 9.4, 11])
    close(output.z, [6.78])
    close(output.delta, [-0.00113498524307798], 1e-15)
    close(hidden.gradients["bias"], [-0.0001134985243078] * 10, 1e-15)
    close(output.gradients["kernel"][[0, -1], 0], [-0.00340495572923394, -0.01248483767385777], 1e-14)
    assert trace.residual <= 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_equations_hold_at_any_depth(seed):
    """Random depth, widths, activations, batch, loss and nesting."""
    draw = np.random.default_rng(seed)
    depth = (15, 1, int(draw.integers(2, 8)))[seed]
    activations = [jnp.tanh, jax.nn.sigmoid, jax.nn.softplus, jnp.sin, jax.nn.softmax, jax.nn.relu]
    layers = []
    for _ in range(depth):
        wide = nn.dense(int(draw.integers(1, 8)), param_dtype=jnp.float64)
        block = (wide, activations[draw.integers(len(activations))])
        layers.append(nn.chain(*block) if draw.integers(2) else nn.chain(nn.chain(*block)))
    with jax.enable_x64(True):
        model = nn.chain(nn.flatten(), *layers, nn.dropout(0.3), nn.dense(3, param_dtype=jnp.float64))
        key = jax.random.key(seed)
        x = jax.random.normal(key, (4, 2, 3), jnp.float64)
        params, state = jax.jit(model.init)(key, x)
        loss, targets = [(losses.cross_entropy, jnp.array([0, 2, 1, 1])), (losses.squared_error, x[:, 0])][
            seed % 2
        ]
        trace = inspect.backprop_trace(model, params, state, x, targets, loss, key=key, train=True)
    assert len(trace.layers) == depth + 1
    assert trace.residual <= 1e-12
    assert all({"BP3", "BP4"} < set(layer.residuals) for layer in trace.layers)
    assert [("BP1" in layer.residuals) for layer in trace.layers] == [False] * depth + [True]


def test_other_layers_are_traced_by_their_own_jacobian():
    model = nn.chain(
        nn.embedding(5, 4),
        nn.residual(nn.dense(4)),
        nn.layer_norm(),
        nn.flatten(),
        nn.batch_norm(),
        nn.dense(2),
    )
    x = jnp.array([[0, 1], [4, 2], [3, 3]])
    # A batch of three is normalised by deviations that may be small: float32 leaves too few digits.
    with jax.enable_x64(True):
        trees = model.init(jax.random.key(0), x)
        params, state = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), trees)
        trace = inspect.backprop_trace(
            model, params, state, x, jnp.ones((3, 2)), losses.squared_error, train=True
        )
        wanted = jnp.ones((3, 2))
        grads = jax.grad(
            lambda p: jnp.mean(losses.squared_error(model.apply(p, state, x, train=True)[0], wanted))
        )(params)
    assert trace.residual < 1e-12
    assert trace.input_gradient is None
    paths = [layer.paths[0] for layer in trace.layers]
    assert paths == ["embedding_0", "residual_0", "layer_norm_0", "batch_norm_0", "dense_0"]
    for layer in trace.layers:
        jax.tree.map(lambda a, b: close(a, b, 1e-5), layer.gradients, grads[layer.paths[0]])


def test_a_wrong_equation_would_show(monkeypatch):
    """The residual compares two programs: a wrong one is seen."""
    from jaxnn.inspect import _back_equations as home

    def wrong(unit, before, delta):
        if unit.layer.kind != "dense":
            return None
        gradient = {"kernel": before[:, None] * delta[None], "bias": delta}
        return gradient, delta @ (1.001 * unit.params["kernel"].T)

    model, params, x = classifier()
    monkeypatch.setattr(home, "_dense_equations", wrong)
    trace = inspect.backprop_trace(model, params, {}, x, jnp.array(1), losses.cross_entropy)
    assert trace.layers[0].residuals["BP2"] > 1e-6
    assert trace.layers[1].residuals["BP4"] < 1e-6


def test_a_nan_is_no_small_residual():
    model, params, x = classifier()
    params["dense_1"]["bias"] = params["dense_1"]["bias"] * jnp.nan
    trace = inspect.backprop_trace(model, params, {}, x, jnp.array(1), losses.cross_entropy)
    assert np.isnan(trace.residual)


@pytest.mark.parametrize(
    "model", [nn.dense(2), nn.residual(nn.dense(3)), nn.remat(nn.chain(nn.dense(2), jnp.tanh))]
)
def test_a_single_layer_and_wrapped_chains(model):
    x = jnp.ones((2, 3))
    params, state = model.init(jax.random.key(0), x)
    trace = inspect.backprop_trace(model, params, state, x, jnp.int32(0), lambda y, _: jnp.sum(y**2, -1))
    assert len(trace.layers) == 1
    assert trace.residual < 1e-6


def test_the_table_can_be_followed(traced_classifier):
    numbers, equations = str(traced_classifier).split("     equation ")
    assert numbers.strip() == TABLE.strip()
    lines = equations.splitlines()[1:-1]
    assert [line[:3] for line in lines] == ["BP1", "BP2", "BP3", "BP3", "BP4", "BP4"]
    assert all(float(line.split()[-1]) <= 1e-12 for line in lines)


TABLE = """
Back-propagation in chain: cost C = 0.608041494

input
                 x 0         x 1        x 2
  x                1           2          3
  ∂C/∂x  -0.00522249  -0.0063064  -0.007883

layer 1  dense_0 → relu_0
                  unit 0       unit 1       unit 2       unit 3     unit 4
  z                  1.5          3.4          5.3          1.3        3.1
  g'(z)                1            1            1            1          1
  a = g(z)           1.5          3.4          5.3          1.3        3.1
  δ = ∂C/∂z  -0.00492688  -0.00492688  -0.00492688  -0.00492688  0.0039415
  ∂C/∂bias   -0.00492688  -0.00492688  -0.00492688  -0.00492688  0.0039415
  ∂C/∂kernel         to 0         to 1         to 2         to 3       to 4
  from 0      -0.00492688  -0.00492688  -0.00492688  -0.00492688  0.0039415
  from 1      -0.00985376  -0.00985376  -0.00985376  -0.00985376   0.007883
  from 2       -0.0147806   -0.0147806   -0.0147806   -0.0147806  0.0118245

layer 2  dense_1
                 unit 0   unit 1      unit 2     unit 3
  z                4.59      9.2        4.79        9.4
  g'(z)               1        1           1          1
  a = g(z)         4.59      9.2        4.79        9.4
  δ = ∂C/∂z  0.00443583  0.44573  0.00541793  -0.455584
  ∂C/∂bias   0.00443583  0.44573  0.00541793  -0.455584
  ∂C/∂kernel        to 0      to 1        to 2       to 3
  from 0      0.00665374  0.668595  0.00812689  -0.683376
  from 1       0.0150818   1.51548    0.018421   -1.54899
  from 2       0.0235099   2.36237    0.028715   -2.41459
  from 3      0.00576657  0.579449  0.00704331  -0.592259
  from 4       0.0137511   1.38176   0.0167956   -1.41231
"""


def test_wide_layers_and_images_stay_readable():
    model = nn.chain(nn.conv(3, (3, 3)), jax.nn.relu, nn.flatten(), nn.dense(40), jnp.tanh, nn.dense(2))
    x = jnp.ones((2, 6, 6, 1))
    params, state = model.init(jax.random.key(0), x)
    text = str(inspect.backprop_trace(model, params, state, x, jnp.array([0, 1]), losses.cross_entropy))
    assert "float32[2, 4, 4, 3]" in text
    assert "example 0 of 2" in text
    assert max(map(len, text.splitlines())) <= 132


def test_what_cannot_be_traced_raises():
    model = nn.chain(jnp.tanh, nn.flatten())
    with pytest.raises(ValueError, match="no layer of 'chain' has parameters"):
        inspect.backprop_trace(model, {}, {}, jnp.ones((2, 3)), None, itself)
    with pytest.raises(TypeError, match="loss must be a function"):
        inspect.backprop_trace(model, {}, {}, jnp.ones((2, 3)), None, "cross_entropy")
    with pytest.raises(
        TypeError, match=r"backprop_trace: missing a required argument: 'loss'; .*\(model, params"
    ):
        inspect.backprop_trace(model, {}, {}, jnp.ones((2, 3)), None)
    with pytest.raises(TypeError, match="backprop_trace: got an unexpected keyword argument 'rain'"):
        inspect.backprop_trace(model, {}, {}, jnp.ones((2, 3)), None, itself, rain=True)  # pyright: ignore
    with pytest.raises(TypeError, match="backprop_trace: train can be given for a layer only"):
        inspect.backprop_trace(jnp.tanh, jnp.ones(()), train=True)  # pyright: ignore
    with pytest.raises(TypeError, match="backprop_trace: expected a function of arrays, got int 3"):
        inspect.backprop_trace(3, 1.0)  # pyright: ignore
    with pytest.raises(ValueError, match="backprop_trace: the result must be one scalar"):
        inspect.backprop_trace(lambda x: x * 2, jnp.ones(3))
    with pytest.raises(TypeError, match="backprop_trace: arguments must be floating point"):
        inspect.backprop_trace(lambda x: x * 2, jnp.ones((), int))
    with pytest.raises(ValueError, match="computation_graph: the result must be one scalar"):
        inspect.computation_graph(lambda x: x * 2, jnp.ones(3))
    with pytest.raises(TypeError, match="must be floating point"):
        inspect.computation_graph(lambda x: x * 2, jnp.ones((), int))
