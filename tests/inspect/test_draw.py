"""Pictures: what they say, for models of every wiring and for graphs; they were looked at, too."""

import sys

import jax
import jax.numpy as jnp
import pytest

import jaxnn as nn
from jaxnn import inspect
from jaxnn.core import plan_layer
from jaxnn.inspect._wiring import wiring_of


def spec(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def words(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_graph_shows_values_and_gradients(tmp_path, suffix):
    path = tmp_path / f"graph.{suffix}"
    found = words(inspect.draw(lambda x, y, z: (x + y) * z, -2, 5, -4, path=path))
    assert path.stat().st_size > 2000
    minus = "\N{MINUS SIGN}"
    for node in ("x", "y", "z", "f", "+", "\N{MULTIPLICATION SIGN}"):
        assert node in found
    assert [found.count(f"{minus}4"), found.count("3"), found.count(f"{minus}12"), found.count("1")] == [
        4,
        2,
        1,
        1,
    ]


def test_constants_stand_inside_their_operation():
    found = words(inspect.draw(lambda x: 1 / (1 + jnp.exp(-x)), 0.0))
    assert {"1+", "1\N{DIVISION SIGN}", "exp", "0.5", "0.25"} <= set(found)


def test_what_is_used_twice_is_one_node():
    graph = inspect.computation_graph(lambda x: x * x + jnp.sin(x), 2.0)
    assert [node.name for node in graph.nodes].count("x") == 1
    assert {"x", "f"} <= set(words(inspect.draw(graph)))


def test_a_model_shows_layers_and_shapes():
    model = nn.chain(nn.flatten(), nn.dense(512), jax.nn.relu, nn.dense(10).named("head"))
    found = words(inspect.draw(model, spec(32, 28, 28)))
    times = " \N{MULTIPLICATION SIGN} "
    assert found[:2] == ["chain: 407,050 parameters", f"input  32{times}28{times}28"]
    assert found.count(f"32{times}512") == 2
    assert {"dense_0", f"kernel 784{times}512, bias 512", f"dense:  kernel 512{times}10, bias 10"} <= set(
        found
    )
    assert found[-1] == f"output  32{times}10"


@nn.model(
    encoder=nn.chain(nn.dense(6), jax.nn.relu), mean=nn.dense(2), spread=nn.dense(2), decoder=nn.dense(9)
)
def autoencoder(m, x):
    h = m.encoder(x)
    mean, spread = m.mean(h), m.spread(h)
    return m.decoder(mean + jnp.exp(spread)), mean


@pytest.mark.parametrize(
    ("model", "x", "names"),
    [
        (
            nn.chain(nn.parallel(nn.dense(3), nn.dense(2)), nn.concatenate()),
            (spec(4, 2), spec(4, 7)),
            ["parallel_0"],
        ),
        (nn.branch(price=nn.dense(1), kind=nn.dense(3)), spec(4, 2), ["price", "kind"]),
        (nn.residual(nn.chain(nn.dense(2), nn.layer_norm())), spec(4, 2), ["body", "+", "layer_norm_0"]),
        (nn.residual(nn.dense(3), nn.dense(3)), spec(4, 2), ["body", "+", "shortcut"]),
        (
            nn.chain(nn.repeat(nn.chain(nn.dense(2)), 5)),
            spec(4, 2),
            ["repeat_0  \N{MULTIPLICATION SIGN} 5", "dense_0"],
        ),
        (nn.chain(nn.repeat(nn.dense(2), 5)), spec(4, 2), ["repeat_0  \N{MULTIPLICATION SIGN} 5", "dense"]),
        (nn.transformer_block(2), spec(2, 3, 4), ["attention_norm", "attention", "mlp", "gelu_0"]),
        (nn.bidirectional(nn.gru(3)), spec(2, 5, 3), ["forward", "backward"]),
        (autoencoder, spec(4, 9), ["encoder", "mean", "spread", "decoder"]),
        (nn.dense(3), spec(4, 2), ["dense"]),
        (nn.embedding(7, 3), jax.ShapeDtypeStruct((2, 5), jnp.int32), ["embedding"]),
    ],
)
def test_every_wiring_is_drawn(model, x, names):
    figure = inspect.draw(model, x)
    assert set(names) <= set(words(figure))
    width, height = figure.get_size_inches()
    for axes in figure.axes:
        for text in axes.texts:
            x, y = text.get_position()
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_the_wiring_of_a_free_form_model_is_read_from_its_jaxpr():
    wiring = wiring_of(plan_layer(autoencoder, spec(4, 9)), train=False)
    assert [name for name, _ in wiring.calls] == ["encoder", "mean", "spread", "decoder"]
    assert wiring.sources == ((-1,), (0,), (0,), (1, 2))
    assert wiring.result == (1, 3)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxnn\[experiments\]'"):
        inspect.draw(nn.dense(3), spec(4, 2))


def test_what_cannot_be_drawn_raises():
    with pytest.raises(TypeError, match="drawn for one input, got 0"):
        inspect.draw(nn.dense(3))
    with pytest.raises(TypeError, match="expected a layer, a function or a Graph"):
        inspect.draw(3)
    with pytest.raises(ValueError, match="dense: expected input"):
        inspect.draw(nn.chain(nn.dense(3)), spec())
