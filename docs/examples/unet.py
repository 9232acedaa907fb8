"""A U-Net (Ronneberger et al., 2015, arXiv:1505.04597) that finds discs in noisy images.

Run it from the root of the repository: ``python docs/examples/unet.py``.
"""

import jax
import numpy as np

import jaxnn as nn
from jaxnn import losses, metrics, optim, train


def convolutions(features):
    """Two normalised convolutions that keep the image's size."""
    one = [nn.conv(features, (3, 3), padding="SAME"), nn.group_norm(4), jax.nn.relu]
    return nn.chain(*one, *one)


def skip(x):
    """The connection from the way down to the way up."""
    return x


def unet(features, depth):
    """Convolve; go down, through a smaller U-Net and up again, beside a skip connection; convolve."""
    if depth == 0:
        return convolutions(features)
    up = nn.conv_transpose(features, (2, 2), strides=2)
    below = nn.chain(nn.max_pool((2, 2)), unet(2 * features, depth - 1), up)
    return nn.chain(convolutions(features), nn.branch(skip, below), nn.concatenate(), convolutions(features))


def discs(count, size=16, seed=0):
    """Images ``[count, size, size, 1]`` of discs under noise, and for each pixel whether it is inside."""
    rng = np.random.default_rng(seed)
    centre, radius = rng.uniform(4, size - 4, (count, 2, 1, 1)), rng.uniform(2, 5, (count, 1, 1))
    inside = np.sum((np.indices((size, size)) - centre) ** 2, 1) < radius**2
    images = inside + 0.7 * rng.normal(size=inside.shape)
    return images[..., None].astype(np.float32), inside.astype(np.int32)


def main(epochs=5, examples=1024, features=8, depth=2):
    """Train, validate on 256 other images, and return the history."""
    model = nn.chain(unet(features, depth), nn.conv(2, (1, 1)))
    task = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))
    return train.fit(
        task,
        optim.adam(3e-3),
        discs(examples),
        epochs=epochs,
        key=jax.random.key(0),
        validation=discs(256, seed=1),
    ).history


if __name__ == "__main__":
    main()
