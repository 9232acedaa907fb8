"""MNIST: 60,000 training and 10,000 test pictures of handwritten digits, 28 by 28 (LeCun, Cortes, Burges)."""

import io
from collections.abc import Sequence

import numpy as np

from experiments.data.download import RemoteFile, fetch
from experiments.data.idx import parse_idx
from experiments.data.pictures import Pictures

# The two public mirrors of the original files; either may vanish, and the checksum makes them equal.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
FILES = {
    "train-images-idx3-ubyte": (47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": (60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": (7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": (10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}


def load_mnist() -> Pictures:
    """MNIST with its own split, values divided by 255.

    Returns:
        60,000 training and 10,000 test pictures, float32 ``[examples, 28, 28]`` in ``[0, 1]``.

    Raises:
        OSError: the files are nowhere and cannot be downloaded; the message says where to put them.
        ValueError: a file in ``JAXNN_DATA`` has other content than MNIST's.
    """
    return read_pictures([_remote(name) for name in FILES])


def read_pictures(files: Sequence[RemoteFile]) -> Pictures:
    """Four files in the idx format, training pictures and labels, test pictures and labels, as a data set.

    Raises:
        OSError: a file is nowhere and cannot be downloaded.
        ValueError: a file in ``JAXNN_DATA`` has other content than expected.
    """
    train_x, train_y, test_x, test_y = (parse_idx(io.BytesIO(fetch(file)), file.name) for file in files)
    return Pictures(
        _scaled(train_x), train_y.astype(np.int32), _scaled(test_x), test_y.astype(np.int32), classes=10
    )


def _remote(name: str) -> RemoteFile:
    size, sha256 = FILES[name]
    return RemoteFile(f"mnist/{name}.gz", size, sha256, [f"{mirror}{name}.gz" for mirror in MIRRORS])


def _scaled(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / np.float32(255)
