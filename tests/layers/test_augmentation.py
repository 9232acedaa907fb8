"""Augmentation: each example has its own draw, evaluation has none, and every output is one that was promised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import draw

import jaxnn as nn

KEY = jax.random.key(0)
IMAGES = np.asarray(draw(200, 4, 5, 2), np.float32)


def train(layer, x, key=KEY):
    return np.asarray(jax.jit(lambda x, key: layer.apply({}, {}, x, key=key, train=True)[0])(x, key))


def shifted(image, down, right, fill=0.0):
    """``image`` moved by whole pixels."""
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), constant_values=fill)
    return padded[2 - down : 2 - down + image.shape[0], 2 - right : 2 - right + image.shape[1]]


def which(y, candidates):
    """The index of the candidate that equals ``y``."""
    found = [i for i, candidate in enumerate(candidates) if np.array_equal(y, candidate)]
    assert len(found) == 1
    return found[0]


def test_shift_draws_every_shift_about_equally_often():
    y = train(nn.random_shift((1, 2), fill=9.0), IMAGES)
    moves = [(down, right) for down in (-1, 0, 1) for right in (-2, -1, 0, 1, 2)]
    drawn = [which(y[i], [shifted(IMAGES[i], *move, fill=9.0) for move in moves]) for i in range(200)]
    counts = np.bincount(drawn, minlength=15)
    chi_square = np.sum((counts - 200 / 15) ** 2) / (200 / 15)
    assert chi_square < 36.1  # the 99.9th percentile for 14 degrees of freedom


@pytest.mark.parametrize(("axis", "number"), [("horizontal", 1), ("vertical", 0)])
def test_flip_mirrors_its_share_of_the_images(axis, number):
    y = train(nn.random_flip(axis, 0.3), IMAGES)
    flips = [which(y[i], [IMAGES[i], np.flip(IMAGES[i], number)]) for i in range(200)]
    assert abs(np.mean(flips) - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 200)


def test_flip_takes_a_traced_rate():
    run = jax.vmap(lambda rate: nn.random_flip(rate=rate).apply({}, {}, IMAGES[:3], key=KEY, train=True)[0])
    never, always = run(jnp.array([0.0, 1.0]))
    np.testing.assert_array_equal(never, IMAGES[:3])
    np.testing.assert_array_equal(always, IMAGES[:3, :, ::-1])


def test_crop_takes_windows_in_training_and_the_centre_in_evaluation():
    layer = nn.random_crop((2, 4), padding=1)
    y = train(layer, IMAGES)
    padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)))
    corners = [(top, left) for top in range(5) for left in range(4)]
    drawn = {
        which(y[i], [padded[i, top : top + 2, left : left + 4] for top, left in corners]) for i in range(200)
    }
    assert len(drawn) == 20
    np.testing.assert_array_equal(layer.apply({}, {}, IMAGES)[0], IMAGES[:, 1:3, 0:4])


@pytest.mark.parametrize("degrees", [90.0, 180.0])
def test_rotation_by_quarter_turns_is_exact(degrees):
    from jaxnn.layers._augment import _rotated

    image = IMAGES[0, :, :4]
    y = _rotated(jnp.asarray(image), jnp.deg2rad(jnp.float32(degrees)), 0.0)
    wanted = np.rot90(image, int(degrees // 90))
    np.testing.assert_allclose(np.asarray(y)[1:3, 1:3], wanted[1:3, 1:3], atol=1e-5)


def test_rotation_turns_each_image_by_its_own_angle_within_bounds():
    """A point beside the centre tells the angle at which its image was turned."""
    x = np.zeros((100, 21, 21, 1), np.float32)
    x[:, 10, 16:21] = 1.0
    y = train(nn.random_rotate(40.0), x)[..., 0]
    rows, columns = np.indices((21, 21)) - 10.0
    total = y.sum((1, 2))
    angle = np.rad2deg(np.arctan2(-(y * rows).sum((1, 2)) / total, (y * columns).sum((1, 2)) / total))
    assert np.all(np.abs(angle) < 41)
    assert np.abs(angle).max() > 30
    assert abs(angle.mean()) < 4 * 40 / np.sqrt(3 * 100)
    constant = train(nn.random_rotate(40.0, fill=1.0), np.ones((3, 5, 4, 2), np.float32))
    np.testing.assert_allclose(constant, 1.0, rtol=1e-5)


LAYERS = [nn.random_shift(1), nn.random_flip(), nn.random_crop(3), nn.random_rotate(20.0)]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_examples_of_all_leading_axes_have_draws_of_their_own(layer):
    same = np.broadcast_to(IMAGES[:1], (2, 8, 4, 5, 2))
    y = train(layer, same)
    assert y.shape[:2] == (2, 8)
    assert len({image.tobytes() for image in y.reshape(16, -1)}) > 1
    np.testing.assert_array_equal(train(layer, same), y)
    assert not np.array_equal(train(layer, same, jax.random.key(7)), y)
    np.testing.assert_array_equal(train(layer, same.reshape(16, 4, 5, 2)).reshape(y.shape), y)


@pytest.mark.parametrize("layer", LAYERS[:3], ids=lambda layer: layer.name)
def test_integer_images_keep_their_dtype(layer):
    x = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5, 1)
    assert train(layer, x).dtype == np.uint8
    assert layer.apply({}, {}, x)[0].dtype == np.uint8


def test_augmentation_trains_inside_a_model():
    model = nn.chain(nn.random_crop(4, padding=1), nn.random_flip(), nn.flatten(), nn.dense(2))
    params, state = model.init(KEY, IMAGES[:8])
    assert list(params) == ["dense_0"]
    run = jax.jit(lambda p, key: model.apply(p, state, IMAGES[:8], key=key, train=True)[0])
    assert not np.array_equal(run(params, KEY), run(params, jax.random.key(1)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.random_shift(-1), "max_shift must not be negative, got -1"),
        (lambda: nn.random_shift(1.5), r"max_shift must be an int or a pair \(vertical, horizontal\)"),
        (lambda: nn.random_flip("left"), "axis must be one of 'horizontal', 'vertical', got 'left'"),
        (lambda: nn.random_flip(rate=1.5), r"rate is the probability of a flip and must be in \[0, 1\]"),
        (lambda: nn.random_crop(0), "size must be a positive int, got 0"),
        (
            lambda: nn.random_crop(5).init(KEY, IMAGES) and nn.random_crop(5).apply({}, {}, IMAGES),
            "size .5, 5. is larger",
        ),
        (lambda: nn.random_rotate("far"), "max_degrees must be a number"),
        (
            lambda: nn.random_rotate(5.0).apply({}, {}, jnp.ones((2, 4, 4, 1), int)),
            "expected a floating-point input",
        ),
        (
            lambda: nn.random_flip().apply({}, {}, jnp.ones((2, 4))),
            r"expected input \[..., height, width, channels\]",
        ),
        (lambda: nn.random_shift(1).apply({}, {}, IMAGES, train=True), "random_shift: needs a random key"),
    ],
)
def test_bad_arguments_and_inputs_are_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
