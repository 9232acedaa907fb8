"""The forward pass of the experiments' networks in plain NumPy, from ``params.safetensors`` alone.

It shares no code with the library, so that a saved file which gives the reported accuracy here is what it
claims to be, and anybody can use it without JAX.
"""

from collections.abc import Callable, Mapping

import numpy as np

Params = Mapping[str, Mapping[str, np.ndarray]]
Activation = Callable[[np.ndarray], np.ndarray]


def relu(x: np.ndarray) -> np.ndarray:
    """The larger of ``x`` and 0."""
    return np.maximum(x, 0)


def dense(params: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """``[batch, in] -> [batch, out]``."""
    return x @ params["kernel"] + params["bias"]


def conv(params: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Valid cross-correlation, ``[batch, height, width, in] -> [batch, height', width', out]``."""
    kernel = params["kernel"]
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.tensordot(windows, kernel, axes=((4, 5, 3), (0, 1, 2))) + params.get("bias", 0)


def max_pool(x: np.ndarray) -> np.ndarray:
    """The largest of each 2 by 2 block; an odd last row or column is left out."""
    batch, height, width, channels = x.shape
    blocks = x[:, : height // 2 * 2, : width // 2 * 2].reshape(batch, height // 2, 2, width // 2, 2, channels)
    return blocks.max((2, 4))


def dense_network(activation: Activation) -> Callable[[Params, np.ndarray], np.ndarray]:
    """``dense_0``, ``dense_1``, ... with an activation between them, on flattened pictures."""

    def logits(params: Params, x: np.ndarray) -> np.ndarray:
        x = x.reshape(len(x), -1)
        for index in range(len(params) - 1):
            x = activation(dense(params[f"dense_{index}"], x))
        return dense(params[f"dense_{len(params) - 1}"], x)

    return logits


def conv_network(params: Params, x: np.ndarray) -> np.ndarray:
    """Two convolutions, pooling, a hidden dense layer and the output; rectified units."""
    x = relu(conv(params["conv_0"], x[..., None]))
    x = max_pool(relu(conv(params["conv_1"], x)))
    x = relu(dense(params["dense_0"], x.reshape(len(x), -1)))
    return dense(params["dense_1"], x)


def wide_conv_network(params: Params, x: np.ndarray) -> np.ndarray:
    """Two convolutions that keep the size, and the output; rectified units."""
    x = x[..., None]
    for name in ("conv_0", "conv_1"):
        x = relu(conv(params[name], same_padded(x, 1)))
    return dense(params["dense_0"], x.reshape(len(x), -1))


def batch_norm(params: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Each feature by the running mean and variance; the constant is the library's default."""
    return (x - params["mean"]) / np.sqrt(params["var"] + 1e-5) * params["scale"] + params["bias"]


def normalised_network(params: Params, x: np.ndarray) -> np.ndarray:
    """Six convolutions, each with batch normalisation, the second and fourth in strides of two."""
    x = x[..., None]
    for index in range(6):
        if index < 4:
            x = same_padded(x, 2 if index % 2 else 1)
        strides = 2 if index % 2 and index < 4 else 1
        x = conv(params[f"conv_{index}"], x)[:, ::strides, ::strides]
        x = relu(batch_norm(params[f"batch_norm_{index}"], x))
    return dense(params["dense_0"], x.reshape(len(x), -1))


def same_padded(x: np.ndarray, strides: int) -> np.ndarray:
    """Zeros around ``[batch, height, width, channels]``, so that 3 by 3 windows give ``size / strides``."""
    before = [(3 - strides - extent % strides) // 2 for extent in x.shape[1:3]]
    after = [3 - strides - extent % strides - b for extent, b in zip(x.shape[1:3], before, strict=True)]
    return np.pad(x, ((0, 0), (before[0], after[0]), (before[1], after[1]), (0, 0)))


NETWORKS: dict[str, Callable[[Params, np.ndarray], np.ndarray]] = {
    "digits": conv_network,
    "mnist_mlp": dense_network(relu),
    "mnist_deep_tanh": dense_network(np.tanh),
    "mnist_cnn": conv_network,
    "mnist_sgd": dense_network(relu),
    "mnist_augmented": normalised_network,
    "mnist_cnn_adam": wide_conv_network,
    "fashion_mnist": wide_conv_network,
}


def merged(params: Params, state: Params) -> Params:
    """Parameters and running statistics in one dict for each layer."""
    return {name: {**params.get(name, {}), **state.get(name, {})} for name in {**params, **state}}


def accuracy(name: str, params: Params, x: np.ndarray, labels: np.ndarray, batch: int = 100) -> float:
    """Share of pictures ``[examples, height, width]`` that the network of experiment ``name`` gets right."""
    network = NETWORKS[name]
    right = sum(
        int((network(params, x[i : i + batch]).argmax(1) == labels[i : i + batch]).sum())
        for i in range(0, len(x), batch)
    )
    return right / len(x)
