"""Scaling and centring ink as the data sets' makers did, so that the network sees what it was trained on.

MNIST: the digit is scaled into a box of 20 by 20 pixels, its proportions kept, and placed with its centre
of mass in the middle of 28 by 28 (LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied
to document recognition"). scikit-learn's digits: bitmaps of 32 by 32, filled by the digit, averaged over 4
by 4 blocks.
"""

import numpy as np

# Everything is drawn at four times the final size and averaged down: the soft edges of scanned ink.
FINE = 4


def as_mnist(ink: np.ndarray) -> np.ndarray:
    """Ink ``[height, width]`` as a picture float32 ``[28, 28]``."""
    box = _shrunk(_scaled(ink, box=20, stroke=2.2))
    weight = box.sum()
    rows, columns = (np.arange(size) + 0.5 for size in box.shape)
    centre = box.sum(1) @ rows / weight, box.sum(0) @ columns / weight
    # The mean centre of MNIST's own pictures is (14.50, 14.50), the middle of pixel 14.
    return _placed(box, 28, *(round(14.5 - float(middle)) for middle in centre))


def as_digits(ink: np.ndarray) -> np.ndarray:
    """Ink ``[height, width]`` as a picture float32 ``[8, 8]``."""
    fine = _scaled(ink, box=8, stroke=1.5)
    size = 8 * FINE
    placed = _placed(fine, size, *((size - extent) // 2 for extent in fine.shape))
    return _shrunk(placed).astype(np.float32)


def _scaled(ink: np.ndarray, box: int, stroke: float) -> np.ndarray:
    """The inked part, its longer side ``FINE * box`` and its strokes at least ``FINE * stroke`` pixels."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    thin = _resized(cropped, FINE * box)
    grow = max(0, round((stroke * FINE - _stroke(thin)) / 2))
    return _grown(np.pad(_resized(cropped, FINE * box - 2 * grow), grow), grow) if grow else thin


def _resized(ink: np.ndarray, longer: int) -> np.ndarray:
    """Ink with its longer side ``longer`` pixels and most of what is inked at full strength."""
    from PIL import Image

    scale = longer / max(ink.shape)
    height, width = (max(1, round(extent * scale)) for extent in ink.shape)
    image = Image.fromarray(ink.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    fine = np.clip(np.asarray(image), 0, 1)
    # A pencil line of one pixel on a large sheet fades when it is scaled down.
    return np.clip(fine / np.quantile(fine[fine > 0], 0.9), 0, 1)


def _stroke(ink: np.ndarray) -> float:
    """Width of the strokes: a long line has two edges, so it is twice the area over the edge's length."""
    solid = np.pad(ink > 0.5, 1)
    inside = solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:]
    area = solid.sum()
    edge = area - (inside & solid[1:-1, 1:-1]).sum()
    return 2 * area / max(edge, 1)


def _grown(ink: np.ndarray, pixels: int) -> np.ndarray:
    """Widen every stroke by ``pixels`` on each side; squares and crosses in turn make it round."""
    for step in range(pixels):
        p = np.pad(ink, 1)
        ink = np.maximum.reduce([p[1:-1, 1:-1], p[:-2, 1:-1], p[2:, 1:-1], p[1:-1, :-2], p[1:-1, 2:]])
        if step % 2:
            ink = np.maximum.reduce([ink, p[:-2, :-2], p[:-2, 2:], p[2:, :-2], p[2:, 2:]])
    return ink


def _shrunk(fine: np.ndarray) -> np.ndarray:
    """Averages over blocks of ``FINE`` by ``FINE``."""
    extra = [(0, -extent % FINE) for extent in fine.shape]
    blocks = np.pad(fine, extra)
    height, width = (extent // FINE for extent in blocks.shape)
    return blocks.reshape(height, FINE, width, FINE).mean((1, 3))


def _placed(ink: np.ndarray, size: int, top: int, left: int) -> np.ndarray:
    """Lay ``ink`` on an empty square, moved inwards where it would stick out."""
    height, width = ink.shape
    top, left = min(max(top, 0), size - height), min(max(left, 0), size - width)
    square = np.zeros((size, size), np.float32)
    square[top : top + height, left : left + width] = ink
    return square
