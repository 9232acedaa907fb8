"""What a convolution does: sizes, sums, edges; the grey of a colour picture."""

import numpy as np

from experiments import convolution
from experiments.drawings.read import LUMA


def test_sizes() -> None:
    """Recurrent, convolutional and embedding networks: places of a window on 9 samples and a 9 by 5 grid."""
    assert list(convolution.sizes().values()) == [
        (8,), (7,), (8, 4), (7, 3), (26, 26), (28, 28), (14, 14)
    ]  # fmt: skip


def test_kernel_sum() -> None:
    """Recurrent, convolutional and embedding networks: 1a + 2b + ... + 9i, and flipped."""
    assert convolution.kernel_sums() == (285, 165)


def test_pooling() -> None:
    """Recurrent, convolutional and embedding networks: the largest of each 2 by 2 block."""
    assert np.asarray(convolution.pooled(convolution.POOLED)).tolist() == [[6, 8], [3, 4]]


def test_edges_answer_where_ink_ends() -> None:
    picture = np.zeros((8, 8), np.float32)
    picture[:, :4] = 1
    found = convolution.answers(picture)
    assert found["vertical edges"].argmax(1).tolist() == [2] * 6
    assert found["vertical edges"].max() == 4
    assert not found["horizontal edges"].any()
    assert found["vertical edges, pooled"].shape == (3, 3)


def test_a_piece_is_found_where_it_was_taken() -> None:
    picture = np.random.default_rng(0).random((12, 12), np.float32)
    piece, cosine = convolution.match(picture, 4, 6, 3)
    assert piece.shape == (3, 3)
    assert np.unravel_index(cosine.argmax(), cosine.shape) == (4, 6)
    np.testing.assert_allclose(cosine.max(), 1, atol=1e-5)


def test_grey_weights() -> None:
    """From calculus to convolutional networks: a colour counts 0.299, 0.587 and 0.114."""
    np.testing.assert_allclose(LUMA, [0.299, 0.587, 0.114])
    np.testing.assert_allclose(LUMA.sum(), 1.0, atol=1e-6)
