"""Numbers that the courses print, or that follow exactly from what they print."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import inspect, losses


def mlp(*sizes: int) -> nn.Layer:
    return nn.chain(
        *[layer for size in sizes[:-1] for layer in (nn.dense(size), jnp.tanh)], nn.dense(sizes[-1])
    )


def images(*layers) -> nn.Layer:
    return nn.chain(nn.reshape(28, 28, 1), *layers)


COUNTS = {
    "MNIST perceptron with dropout (back-propagation and optimizers notebooks)": (
        784,
        mlp(512, 512, 10),
        669_706,
    ),
    "deep tanh net (back-propagation notebook)": (784, mlp(2500, 2000, 1500, 1000, 500, 10), 11_972_510),
    "four-pixel camera (back-propagation notebook)": (4, mlp(4, 4, 8, 4), 116),
    "ring data (deep-learning deck)": (2, mlp(25, 25, 1), 751),
    "first Keras demo (deep-learning deck)": (4, mlp(100, 1), 601),
    "two Gaussians (deep-learning deck)": (2, mlp(100, 100, 100, 100, 100, 2), 40_902),
    "MNIST convolutional net (sequences and images notebook)": (
        784,
        images(
            *(nn.conv(32, (3, 3)), nn.conv(64, (3, 3)), nn.max_pool((2, 2)), nn.flatten()),
            *(nn.dense(128), nn.dense(10)),
        ),
        1_199_882,
    ),
    "deck's convolutional net (deep-learning deck)": (
        784,
        images(
            *(nn.conv(128, (3, 3), padding="SAME"), nn.conv(128, (3, 3), padding="SAME")),
            nn.flatten(),
            nn.dense(10),
        ),
        1_152_394,
    ),
    "softmax regression (deep-learning deck)": (784, mlp(10), 7_850),
    "iris (first day of deep learning)": (4, mlp(6, 3), 51),
    "regression by single samples (first day of deep learning)": (2, mlp(10, 1), 41),
    "3-5-4 net (first day of deep learning)": (3, mlp(5, 4), 44),
    "5-10-1 net (first day of deep learning)": (5, mlp(10, 1), 71),
    "autoencoder 6-3-6 (sequences and images notebook)": (6, mlp(3, 6), 45),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name: str) -> None:
    features, model, count = COUNTS[name]
    assert inspect.summary(model, jax.ShapeDtypeStruct((1, features), jnp.float32)).params == count


def test_four_pixel_camera_set_by_hand() -> None:
    """Back-propagation notebook: weights set by hand recognise solid, vertical, diagonal and horizontal."""
    model = nn.chain(nn.dense(4), jnp.tanh, nn.dense(4), jnp.tanh, nn.dense(8), jax.nn.relu, nn.dense(4))
    spread = np.kron(np.eye(4), [[1.0, -1.0]])
    kernels = [
        [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, -1, 0], [0, 1, 0, -1]],
        [[1, -1, 0, 0], [1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, -1]],
        spread,
        np.repeat(np.eye(4), 2, axis=0),
    ]
    with jax.enable_x64(True):
        params = {
            f"dense_{i}": {"kernel": jnp.array(kernel, float), "bias": jnp.zeros(np.shape(kernel)[1])}
            for i, kernel in enumerate(kernels)
        }
        patterns = {0: [1, 1, 1, 1], 1: [1, -1, 1, -1], 2: [1, -1, -1, 1], 3: [1, 1, -1, -1]}
        pairs = [(s * np.array(p), label) for (label, p), s in itertools.product(patterns.items(), (1, -1))]
        x = jnp.array([pattern for pattern, _ in pairs], float)
        labels = jnp.array([label for _, label in pairs])
        logits, _ = model.apply(params, {}, x)
        loss = losses.cross_entropy(logits, labels)
        shown = jax.nn.softmax(model.apply(params, {}, jnp.array([[1.0, 1, -1, -1]]))[0])[0]
        np.testing.assert_allclose(shown, [0.17831733178369877] * 3 + [0.46504800464890356], atol=1e-12)
        np.testing.assert_allclose(loss, 0.765614642919136, atol=1e-12)
        assert jnp.array_equal(logits.argmax(-1), labels)


def test_flops_are_counted_through_scan() -> None:
    body = nn.chain(nn.dense(16), jnp.tanh)
    x = jax.ShapeDtypeStruct((4, 16), jnp.float32)
    once, many = (inspect.summary(model, x).flops for model in (body, nn.repeat(body, 10)))
    assert once == 2 * 4 * 16 * 16 + 2 * 4 * 16
    assert many == 10 * once


def test_summary_allocates_nothing_and_reads_like_a_table() -> None:
    huge = nn.chain(nn.dense(1_000_000), jax.nn.relu, nn.batch_norm(), nn.dense(1_000_000))
    table = inspect.summary(huge, jax.ShapeDtypeStruct((8, 10), jnp.float32))
    assert table.params == 10 * 10**6 + 10**6 + 2 * 10**6 + 10**12 + 10**6
    assert table.state == 2 * 10**6
    text = str(table)
    for word in ("dense_0", "relu", "batch_norm_0", "float32[8, 1000000]", "Total params: 1,000,016,000,000"):
        assert word in text
    assert len({len(line) for line in text.splitlines() if line.startswith("─")}) == 1


def test_summary_finds_nested_stacked_and_shared_layers_by_path() -> None:
    @nn.model(body=nn.dense(8))
    def shared(m, x):
        return m.body(m.body(x))

    model = nn.chain(stem=nn.dense(8), deep=nn.repeat(nn.residual(nn.dense(8)), 3), shared=shared)
    table = inspect.summary(model, jax.ShapeDtypeStruct((2, 8), jnp.float32))
    rows = {row.path: row for row in table.rows}
    assert list(rows) == ["stem", "deep", "deep.body", "deep.shortcut", "shared", "shared.body"]
    assert rows["deep.body"].params == 3 * 72
    assert rows["deep.body"].flops == 3 * (2 * 2 * 64 + 16)
    assert rows["shared.body"].params == 72
    assert rows["shared.body"].flops == 2 * (2 * 2 * 64 + 16)


def test_summary_of_one_copy_and_of_children_under_vmap() -> None:
    @nn.model(body=nn.dense(8).named("inner"))
    def mapped(m, x):
        return jax.vmap(m.body)(x)

    model = nn.chain(one=nn.repeat(nn.chain(nn.dense(8)), 1), mapped=mapped)
    rows = {row.path: row for row in inspect.summary(model, jax.ShapeDtypeStruct((2, 8), jnp.float32)).rows}
    assert rows["one.dense_0"].params == 72
    assert rows["mapped.body"].flops == rows["one"].flops == 2 * (2 * 64 + 8)
    assert rows["mapped.body"].kind == "dense"
