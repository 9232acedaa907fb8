"""Reading and fitting drawings: formats, polarities, sizes, and files that are no pictures."""

import gzip
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.drawings import as_digits, as_mnist, find_ink, read_grey
from tests.experiments.drawn import draw, save


def test_grey_is_the_luma_of_the_colours(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    grey = read_grey(save(Image.fromarray(colours), tmp_path / "x.png"))
    np.testing.assert_allclose(grey, [[0.299, 0.587, 0.114, 1.0]])


def _sixteen_bits(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)


@pytest.mark.parametrize(
    "convert",
    [
        lambda image: image.convert("L"),
        lambda image: image.convert("1"),
        lambda image: image.convert("P", palette=Image.Palette.ADAPTIVE),
        lambda image: image.convert("LA"),
        lambda image: image.convert("RGBA"),
        lambda image: image.convert("CMYK").convert("RGB"),
        _sixteen_bits,
    ],
    ids=["grey", "one bit", "palette", "grey and alpha", "colour and alpha", "cmyk", "sixteen bits"],
)
def test_every_mode_gives_the_same_drawing(tmp_path: Path, convert) -> None:
    image = draw(5)
    expected = read_grey(save(image, tmp_path / "rgb.png"))
    found = read_grey(save(convert(image), tmp_path / "other.png"))
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("ink", ["black", "white"])
def test_transparent_paper(tmp_path: Path, ink: str) -> None:
    image = draw(5, mode="RGBA", ink=ink, paper=(0, 0, 0, 0))
    expected = find_ink(read_grey(save(draw(5), tmp_path / "plain.png")))
    np.testing.assert_allclose(find_ink(read_grey(save(image, tmp_path / "x.png"))), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("ink", "paper"), [("black", "white"), ("white", "black"), ("yellow", "navy"), ("#666666", "#999999")]
)
@pytest.mark.parametrize("fit", [as_mnist, as_digits])
def test_either_polarity_gives_the_same_picture(tmp_path: Path, ink: str, paper: str, fit) -> None:
    expected = fit(find_ink(read_grey(save(draw(3), tmp_path / "a.png"))))
    found = fit(find_ink(read_grey(save(draw(3, ink=ink, paper=paper), tmp_path / "b.png"))))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "pen"), [((28, 28), 2), ((90, 300), 6), ((1600, 900), 3), ((1600, 900), 90)]
)
def test_any_size_fills_the_box_and_is_centred(size: tuple[int, int], pen: int) -> None:
    grey = np.asarray(draw(8, size=size, pen=pen).convert("L")) / 255
    seen = as_mnist(find_ink(grey))
    assert (seen.shape, seen.dtype) == ((28, 28), np.float32)
    assert (seen.min(), seen.max() > 0.9) == (0.0, True)
    rows = np.flatnonzero(seen.max(1) > 0.05)
    assert 19 <= rows[-1] - rows[0] + 1 <= 20
    positions = np.arange(28) + 0.5
    centre = np.array([seen.sum(1) @ positions, seen.sum(0) @ positions]) / seen.sum()
    np.testing.assert_allclose(centre, 14.5, atol=0.51)
    # A thin pen is widened, so every drawing has about as much ink as MNIST's own.
    assert 0.06 < seen.mean() < 0.3


def test_mnist_pictures_pass_through_almost_unchanged(mnist_folder: str) -> None:
    from experiments.data import load_mnist

    pictures = load_mnist().x_test[:100]
    seen = np.stack([as_mnist(find_ink(1 - picture)) for picture in pictures])
    assert np.abs(seen - pictures).mean() < 0.03


def test_digits_fill_their_eight_rows() -> None:
    seen = as_digits(find_ink(np.asarray(draw(8).convert("L")) / 255))
    assert (seen.shape, seen.dtype) == ((8, 8), np.float32)
    assert (seen.max(1) > 0.3).all()


def test_a_blank_sheet() -> None:
    with pytest.raises(ValueError, match="the picture is blank"):
        find_ink(np.full((20, 20), 0.8))


def test_a_single_dot_is_a_drawing() -> None:
    grey = np.ones((50, 50))
    grey[10, 40] = 0
    assert as_mnist(find_ink(grey)).max() == 1


def _png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a picture that can be read"),
        (b"just text", "not a picture that can be read"),
        (gzip.compress(b"zipped"), "not a picture that can be read"),
        (_png(9000, 9000, b""), "9000 by 9000 pixels, and at most 50,000,000 are read; scale"),
        (_png(60000, 60000, b""), "far too many pixels, and at most 50,000,000 are read"),
        (_png(8, 8, bytes(20)), "a damaged picture"),
    ],
    ids=["empty", "text", "gzip", "large", "bomb", "cut"],
)
def test_what_is_no_picture_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(f"bad.png: {message}")):
        read_grey(tmp_path / "bad.png")


def test_a_flipped_bit_in_a_png(tmp_path: Path) -> None:
    path = save(draw(1), tmp_path / "bad.png")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"bad\.png: a damaged picture"):
        read_grey(path)


def test_a_missing_picture(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.png: no such picture"):
        read_grey(tmp_path / "none.png")
