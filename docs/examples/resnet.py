"""A residual network (He et al., 2016, arXiv:1512.03385) that reads handwritten digits.

Run it from the root of the repository: ``python docs/examples/resnet.py``. The digits are the 8x8 images of
scikit-learn (``pip install jaxnn[experiments]``).
"""

import jax
import numpy as np
from sklearn.datasets import load_digits

import jaxnn as nn
from jaxnn import losses, metrics, optim, train


def convolution(features, size, strides=1):
    """A convolution without bias, which the normalisation after it would take away."""
    return nn.chain(
        nn.conv(features, (size, size), strides, "SAME", use_bias=False), nn.batch_norm(momentum=0.9)
    )


def block(features, strides):
    """Two convolutions beside a shortcut, which is the input itself where its shape stays."""
    body = nn.chain(convolution(features, 3, strides), jax.nn.relu, convolution(features, 3))
    shortcut = convolution(features, 1, strides) if strides > 1 else None
    return nn.chain(nn.residual(body, shortcut), jax.nn.relu)


def resnet(classes, widths=(16, 32, 64), blocks=2):
    """One stage for each width, of which all but the first halve the image."""
    stages = [
        block(width, strides=2 if stage > 0 and index == 0 else 1)
        for stage, width in enumerate(widths)
        for index in range(blocks)
    ]
    stem = nn.chain(convolution(widths[0], 3), jax.nn.relu)
    return nn.chain(stem, *stages, nn.global_avg_pool(), nn.dense(classes))


def main(epochs=10, widths=(16, 32, 64), examples=1500):
    """Train on ``examples`` digits, test on the rest, and return the history."""
    images, labels = load_digits(return_X_y=True)
    x, y = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32), labels.astype(np.int32)
    model = nn.chain(nn.random_shift(1), resnet(10, widths))
    task = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))
    split, rest = (x[:examples], y[:examples]), (x[1500:], y[1500:])
    return train.fit(
        task, optim.adam(3e-3), split, epochs=epochs, batch_size=64, key=jax.random.key(0), validation=rest
    ).history


if __name__ == "__main__":
    main()
