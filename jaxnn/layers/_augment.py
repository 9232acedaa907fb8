"""Random changes of images in training (Krizhevsky et al., 2012): shift, flip, crop, rotate.

Images are ``[..., height, width, channels]``; every example of the leading axes has a draw of its own, and
evaluation draws nothing. All of it runs compiled, on the device, inside the training step, where Flax, Haiku
and Equinox leave augmentation to the data loader.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    check_floating,
    check_min_rank,
    describe,
    is_traced,
    non_negative,
    on_any_mesh,
    one_of,
    positive_ints,
    require_key,
    stateless,
    wide_dtype,
)

_IMAGES = "[..., height, width, channels]"


def random_shift(max_shift: int | tuple[int, int], *, fill: float = 0.0) -> Layer:
    """In training, move each image by whole pixels: ``[..., height, width, channels]``, shape kept.

    Vertical and horizontal shifts are drawn uniformly from ``-max_shift .. max_shift``.

    Args:
        max_shift: most pixels in either direction, or ``(vertical, horizontal)``.
        fill: what stands where nothing was.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input with too few axes, or no key in training.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
        >>> y, _ = nn.random_shift(1).apply({}, {}, x, key=jax.random.key(0), train=True)
        >>> y.shape
        (1, 3, 3, 1)
    """
    margin = _whole_pair("random_shift", "max_shift", max_shift)

    def shift(x: Any, key: Any) -> Any:
        return _crop(x, x.shape[1:3], margin, fill, key)

    return _augmentation("random_shift", shift)


def random_flip(axis: str = "horizontal", rate: Any = 0.5) -> Layer:
    """In training, mirror each image with probability ``rate``; ``[..., height, width, channels]``.

    Args:
        axis: ``"horizontal"`` exchanges left and right, ``"vertical"`` top and bottom.
        rate: probability of a flip, in [0, 1]; may be traced.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input with too few axes, or no key in training.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1)
        >>> nn.random_flip(rate=1.0).apply({}, {}, x, key=jax.random.key(0), train=True)[0].ravel().tolist()
        [2.0, 1.0]
    """
    one_of("random_flip", "axis", axis, ("horizontal", "vertical"))
    non_negative("random_flip", "rate", rate)
    if not is_traced(rate) and rate > 1:
        raise ValueError(f"random_flip: rate is the probability of a flip and must be in [0, 1], got {rate}")

    def flip(x: Any, key: Any) -> Any:
        chosen = jax.random.bernoulli(key, rate, (x.shape[0], 1, 1, 1))
        mirrored = jnp.flip(x, 2 if axis == "horizontal" else 1)
        return jnp.where(jnp.broadcast_to(chosen, x.shape), mirrored, x)

    return _augmentation("random_flip", flip)


def random_crop(
    size: int | tuple[int, int], *, padding: int | tuple[int, int] = 0, fill: float = 0.0
) -> Layer:
    """Cut a window out of each image: ``[..., height, width, channels] -> [..., *size, channels]``.

    In training a random one, after padding; in evaluation the centre of the image itself.

    Args:
        size: height and width of the window, or one for both.
        padding: pixels put around the image in training, on all sides or ``(vertical, horizontal)``.
        fill: what the padding holds.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input with too few axes or smaller than ``size``,
            or no key in training.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.random_crop(24).apply({}, {}, jnp.ones((8, 28, 28, 3)))[0].shape
        (8, 24, 24, 3)
    """
    height, width = positive_ints("random_crop", "size", size, 2)
    margin = _whole_pair("random_crop", "padding", padding)

    def check(x: Any) -> None:
        if x.shape[-3] < height or x.shape[-2] < width:
            raise ValueError(
                f"random_crop: size {(height, width)} is larger than the images of {describe(x)}"
            )

    def crop(x: Any, key: Any) -> Any:
        return _crop(x, (height, width), margin, fill, key)

    def centre(x: Any) -> Any:
        top, left = (x.shape[-3] - height) // 2, (x.shape[-2] - width) // 2
        return x[..., top : top + height, left : left + width, :]

    return _augmentation("random_crop", crop, centre, check)


def random_rotate(max_degrees: Any, *, fill: float = 0.0) -> Layer:
    """In training, rotate each image about its centre: ``[..., height, width, channels]``, shape kept.

    The angle is drawn uniformly from ``-max_degrees .. max_degrees``; pixels are interpolated bilinearly.

    Args:
        max_degrees: largest angle, in degrees; may be traced.
        fill: what stands where nothing was.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point or has too few
            axes, or no key in training.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.ones((2, 5, 5, 1))
        >>> y, _ = nn.random_rotate(15.0).apply({}, {}, x, key=jax.random.key(0), train=True)
        >>> y.shape, float(y[0, 2, 2, 0])
        ((2, 5, 5, 1), 1.0)
    """
    non_negative("random_rotate", "max_degrees", max_degrees)

    def rotate(x: Any, key: Any) -> Any:
        dtype = wide_dtype(x.dtype)
        degrees = jax.random.uniform(key, x.shape[:1], dtype, -1.0, 1.0) * jnp.asarray(max_degrees, dtype)
        return jax.vmap(lambda image, angle: _rotated(image, angle, fill))(x, jnp.deg2rad(degrees))

    return _augmentation("random_rotate", rotate, check=lambda x: check_floating("random_rotate", x))


def _rotated(image: Any, angle: Any, fill: float) -> Any:
    """One image ``[height, width, channels]``, turned counterclockwise by ``angle`` radians."""
    height, width, _ = image.shape
    dtype = angle.dtype
    rows = jnp.broadcast_to(jnp.arange(height, dtype=dtype)[:, None] - (height - 1) / 2, (height, width))
    columns = jnp.broadcast_to(jnp.arange(width, dtype=dtype)[None] - (width - 1) / 2, (height, width))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    source = [cos * rows + sin * columns + (height - 1) / 2, cos * columns - sin * rows + (width - 1) / 2]

    def sample(channel: Any) -> Any:
        return jax.scipy.ndimage.map_coordinates(channel, source, order=1, mode="constant", cval=fill)

    return jax.vmap(sample, -1, -1)(image.astype(dtype)).astype(image.dtype)


def _crop(x: Any, size: tuple[int, ...], margin: tuple[int, int], fill: float, key: Any) -> Any:
    """Pad ``[batch, height, width, channels]`` by ``margin`` and cut a random window out of each image."""
    (rows, columns), (height, width) = margin, size
    every = ((0, 0), (rows, rows), (columns, columns), (0, 0))
    x = jnp.pad(x, every, constant_values=jnp.asarray(fill, x.dtype))
    room = jnp.array([x.shape[1] - height + 1, x.shape[2] - width + 1])
    corners = jax.random.randint(key, (x.shape[0], 2), 0, jnp.broadcast_to(room, (x.shape[0], 2)))

    def cut(image: Any, corner: Any) -> Any:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (height, width, image.shape[-1]))

    return jax.vmap(cut)(x, corners)


def _augmentation(
    name: str,
    change: Callable[[Any, Any], Any],
    evaluate: Callable[[Any], Any] = lambda x: x,
    check: Callable[[Any], None] | None = None,
) -> Layer:
    """Lift ``change(images [batch, height, width, channels], key)`` to a layer that is active in training."""

    def apply(params: Any, x: Any, *, key: Any, train: bool) -> Any:
        del params
        check_min_rank(name, x, 3, _IMAGES)
        if check is not None:
            check(x)
        if not train:
            return evaluate(x)
        key = require_key(name, key)
        y = change(x.reshape(prod(x.shape[:-3]), *x.shape[-3:]), key)
        return y.reshape(*x.shape[:-3], *y.shape[1:])

    return on_any_mesh(stateless(name, None, apply))


def _whole_pair(name: str, argument: str, value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or any(isinstance(v, bool) or not isinstance(v, int) for v in pair):
        raise TypeError(
            f"{name}: {argument} must be an int or a pair (vertical, horizontal), got {describe(value)}"
        )
    if min(pair) < 0:
        raise ValueError(f"{name}: {argument} must not be negative, got {value}")
    return pair
