"""Every loss through the whole kit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import losses, testing


def f32(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


LABELS = jnp.array([0, 2, 1, 2])
SOFT = jnp.full((4, 3), 1 / 3)
YES = jnp.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.5], [0.0, 0.0, 1.0], [1.0, 1.0, 0.25]])
SIGNS = jnp.where(YES > 0.4, 1.0, -1.0)
TARGETS = jnp.linspace(-1, 1, 12).reshape(4, 3)
# The transforms lane moves the targets too, to where these losses raise or are NaN by contract.
FIXED_TARGETS = [lane for lane in testing.LOSS_LANES if lane != "transforms"]
INF = jnp.inf
LONG = [10.0, -10.0, 0.0]


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def picked(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.take_along_axis(x, y[:, None], -1)[:, 0]


def smoothed(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -((0.9 * np.eye(3)[y] + 0.1 / 3) * log_softmax(z)).sum(-1)


def huber(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    e = np.abs(z - y)
    return np.where(e < 0.5, e**2 / 2, 0.5 * (e - 0.25)).mean(-1)


def focal(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    p = 1 / (1 + np.exp(-z))
    terms = 0.25 * y * (1 - p) ** 2 * -np.log(p) + 0.75 * (1 - y) * p**2 * -np.log(1 - p)
    return terms.sum(-1)


def focal_of_classes(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    log_p = picked(log_softmax(z), y)
    return (1 - np.exp(log_p)) ** 2 * -log_p


def hinge_of_classes(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    others = np.where(np.eye(3, dtype=bool)[y], -np.inf, z).max(-1)
    return np.maximum(0, 1 + others - picked(z, y))


def cosine_distance(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 1 - (z * y).sum(-1) / np.sqrt((z**2).sum(-1) * (y**2).sum(-1))


def point(name: str, z: object, y: object, value: object, gradient: object = None) -> testing.HardPoint:
    return testing.HardPoint(name, z, y, value, gradient)


TABLE = {
    "cross_entropy, integers": (
        losses.cross_entropy,
        LABELS,
        {
            "oracle": lambda z, y: -picked(log_softmax(z), y),
            "shift_invariant": True,
            "convex": True,
            "table": [
                point("right by far", [1e4, -1e4, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
                point("wrong by far", [1e4, -1e4, 0.0], 1, 2e4, [1.0, -1.0, 0.0]),
                point("impossible class", [0.0, -INF], 0, 0.0, [0.0, 0.0]),
                point("impossible label", [0.0, -INF], 1, INF),
                point("empty batch", np.zeros((0, 3)), np.zeros(0, np.int32), np.zeros(0)),
            ],
        },
    ),
    "cross_entropy, soft": (
        losses.cross_entropy,
        SOFT,
        {
            "oracle": lambda z, p: -(p * log_softmax(z)).sum(-1),
            "minimum": lambda p: jnp.log(p),
            "shift_invariant": True,
            "convex": True,
        },
    ),
    "cross_entropy, smoothed": (
        functools.partial(losses.cross_entropy, label_smoothing=0.1),
        LABELS,
        {
            "oracle": smoothed,
            "minimum": lambda y: np.log(0.9 * np.eye(3)[y] + 0.1 / 3),
            "shift_invariant": True,
            "convex": True,
            "table": [point("impossible class", [0.0, -INF], 0, INF)],
        },
    ),
    "binary_cross_entropy": (
        losses.binary_cross_entropy,
        YES,
        {
            "oracle": lambda z, y: (np.logaddexp(0, z) - y * z).mean(-1),
            "convex": True,
            "lanes": FIXED_TARGETS,
            "table": [
                point("yes at infinity", [INF], [1.0], 0.0, [0.0]),
                point("no at infinity", [-INF], [0.0], 0.0, [0.0]),
                point("wrong by far", [1e4], [0.0], 1e4, [1.0]),
            ],
        },
    ),
    "focal": (
        functools.partial(losses.focal, balance=0.25, reduce="sum"),
        YES,
        {
            "oracle": focal,
            "lanes": FIXED_TARGETS,
            "table": [
                point("wrong by far", [1e4], [0.0], 7.5e3, [0.75]),
                point("right by far", [1e4], [1.0], 0.0, [0.0]),
                point("yes at infinity", [INF], [1.0], 0.0, [0.0]),
                point("no at infinity", [INF], [0.0], INF, [0.75]),
            ],
        },
    ),
    "focal, classes": (
        losses.focal,
        LABELS,
        {
            "oracle": focal_of_classes,
            "shift_invariant": True,
            "one_hot": False,
            "table": [
                point("wrong by far", [1e4, -1e4, 0.0], 1, 2e4, [1.0, -1.0, 0.0]),
                point("right by far", [1e4, -1e4, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
                point("others impossible", [0.0, -INF], 0, 0.0, [0.0, 0.0]),
                point("label impossible", [0.0, -INF], 1, INF, [1.0, -1.0]),
            ],
        },
    ),
    "squared_error": (
        losses.squared_error,
        TARGETS,
        {"oracle": lambda z, y: ((z - y) ** 2).mean(-1), "minimum": lambda y: y, "convex": True},
    ),
    "half_squared_error": (
        losses.half_squared_error,
        TARGETS,
        {"oracle": lambda z, y: ((z - y) ** 2).sum(-1) / 2, "minimum": lambda y: y, "convex": True},
    ),
    "absolute_error": (
        losses.absolute_error,
        TARGETS,
        {
            "oracle": lambda z, y: np.abs(z - y).mean(-1),
            "minimum": lambda y: y,
            "convex": True,
            "table": [point("equal", [3.0, 1.0], [3.0, 2.0], 0.5, [0.0, -0.5])],
        },
    ),
    "huber": (
        functools.partial(losses.huber, delta=0.5),
        TARGETS,
        {
            "oracle": huber,
            "minimum": lambda y: y,
            "convex": True,
            "table": [
                point("equal", [3.0], [3.0], 0.0, [0.0]),
                point("at delta", [0.5], [0.0], 0.125, [0.5]),
                point("far, where squares overflow", [-1e30], [0.0], 5e29, [-0.5]),
            ],
        },
    ),
    "hinge": (
        losses.hinge,
        SIGNS,
        {
            "oracle": lambda z, y: np.maximum(0, 1 - y * z).mean(-1),
            "minimum": lambda y: 3 * y,
            "convex": True,
            "lanes": FIXED_TARGETS,
            "table": [
                point("at the margin", [1.0], [1.0], 0.0, [0.0]),
                point("wrong by far", [1e4], [-1.0], 10001.0, [1.0]),
            ],
        },
    ),
    "hinge, classes": (
        losses.hinge,
        LABELS,
        {
            "oracle": hinge_of_classes,
            "minimum": lambda y: 3 * np.eye(3)[y],
            "shift_invariant": True,
            "convex": True,
            "one_hot": False,
            "table": [point("tied others", [0.0, 0.0, 0.0], 0, 1.0, [-1.0, 0.5, 0.5])],
        },
    ),
    "kl_divergence": (
        losses.kl_divergence,
        SOFT,
        {
            "oracle": lambda z, p: (p * (np.log(p) - log_softmax(z))).sum(-1),
            "minimum": lambda p: jnp.log(p),
            "shift_invariant": True,
            "convex": True,
            "lanes": FIXED_TARGETS,
            "table": [
                point("p = 0", [0.0, 0.0], [1.0, 0.0], np.log(2), [-0.5, 0.5]),
                point("p = q = 0", [0.0, -INF], [1.0, 0.0], 0.0, [0.0, 0.0]),
                point("q = 0", [0.0, -INF], [0.5, 0.5], INF),
            ],
        },
    ),
    "kl_standard_normal": (
        losses.kl_standard_normal,
        TARGETS,
        {
            "oracle": lambda m, v: (m**2 + np.exp(v) - 1 - v).sum(-1) / 2,
            "minimum": lambda v: np.zeros_like(v),
            "differentiate": (0, 1),
            "convex": True,
            "table": [
                point("standard", [0.0, 0.0], [0.0, 0.0], 0.0, [0.0, 0.0]),
                point("no variance", [1.0], [-1e4], 5e3, [1.0]),
            ],
        },
    ),
    "cosine_distance": (
        losses.cosine_distance,
        TARGETS,
        {
            "oracle": cosine_distance,
            "differentiate": (0, 1),
            "table": [
                point("zero", [0.0, 0.0], [1.0, 2.0], 1.0, [0.0, 0.0]),
                point("zero target", [1.0, 2.0], [0.0, 0.0], 1.0, [0.0, 0.0]),
                point("squares overflow", [1e30, 0.0], [0.0, 1e30], 1.0, [0.0, -1e-30]),
                point("squares vanish", [1e-30, 0.0], [1e-30, 0.0], 0.0),
            ],
        },
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_loss_conforms(name: str) -> None:
    loss, targets, options = TABLE[name]
    testing.check_loss(loss, f32(4, 3), targets, **options)


def test_ctc_conforms() -> None:
    labels = jnp.array([[1, 1, 2], [2, 3, 1]])
    testing.check_loss(
        losses.ctc,
        f32(2, 6, 4),
        labels,
        keeps_rows=False,
        permutation_invariant=False,
        shift_invariant=True,
        lanes=FIXED_TARGETS,
    )


def test_every_loss_is_in_the_table() -> None:
    public = {name for name in dir(losses) if name[0] != "_"}
    assert public - {"l1", "l2"} == {name.split(",")[0] for name in TABLE} | {"ctc"}
