"""Fashion-MNIST's loader: MNIST-format files of its publisher's checksums, scaled to [0, 1]."""

import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.data import fashion_mnist
from experiments.data.download import RemoteFile
from experiments.data.mnist import read_pictures


def _idx(values: np.ndarray) -> bytes:
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RemoteFile]:
    """Four small files in MNIST's format below ``JAXNN_DATA``."""
    monkeypatch.setenv("JAXNN_DATA", str(tmp_path))
    rng = np.random.default_rng(0)
    found = []
    for number, (name, size) in enumerate(zip(fashion_mnist.MD5, (6, 6, 3, 3), strict=True)):
        values = rng.integers(0, 10, size) if number % 2 else rng.integers(0, 256, (size, 28, 28))
        content = _idx(values)
        zipped = gzip.compress(content)
        path = tmp_path / "fashion_mnist" / f"{name}.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zipped)
        digest = hashlib.md5(zipped, usedforsecurity=False).hexdigest()
        found.append(RemoteFile(f"fashion_mnist/{name}.gz", len(content), "", [], zipped_md5=digest))
    return found


def test_reads_files_in_the_format_of_mnist(files: list[RemoteFile]) -> None:
    """From calculus to convolutional networks: the pictures are divided by 255, as those of MNIST."""
    data = read_pictures(files)
    assert (data.x.shape, data.x_test.shape) == ((6, 28, 28), (3, 28, 28))
    assert data.x.dtype == np.float32
    assert 0.9 < data.x.max() <= 1
    assert data.y.dtype == np.int32


def test_another_content_is_refused(files: list[RemoteFile]) -> None:
    with pytest.raises(ValueError, match=r"train-images.*checksum mismatch, expected MD5 0000"):
        read_pictures([replace(files[0], zipped_md5="0" * 32), *files[1:]])
    with pytest.raises(ValueError, match="expected 47040016 bytes"):
        fashion_mnist.load_fashion_mnist()


def test_a_file_needs_a_checksum() -> None:
    with pytest.raises(ValueError, match="give sha256 or zipped_md5"):
        RemoteFile("toy.gz", 1, "", [])
