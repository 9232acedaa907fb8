"""From an image file to ink on paper: any size, colour or grey, transparent or not, either polarity."""

import warnings
from pathlib import Path

import numpy as np

# The luma of ITU-R BT.601, which a colour television used to show a colour film in grey.
LUMA = np.array([0.299, 0.587, 0.114])
# Far more than a screen has; a bomb of a few kilobytes claims much more.
MAX_PIXELS = 50_000_000
FAINTEST = 0.1


def read_grey(path: str | Path) -> np.ndarray:
    """Read an image file as grey.

    Transparency is laid on white, or on black when what is drawn is light, so that it shows either way.

    Args:
        path: a file in any format that Pillow reads.

    Returns:
        float64 ``[height, width]``, black 0, white 1.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an image, is damaged, or has more than 50 million pixels.
    """
    from PIL import Image, ImageOps

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such picture; give the path of a PNG or JPEG file")
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures; the check below refuses them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(_too_large(path, f"{image.width} by {image.height}"))
                return _grey(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError as error:
        raise ValueError(_too_large(path, "far too many")) from error
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{path}: not a picture that can be read; save it as PNG or JPEG") from error
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"{path}: a damaged picture ({error}); save it again") from error


def find_ink(grey: np.ndarray) -> np.ndarray:
    """What is drawn, whichever of the two is lighter.

    The paper is what most of the picture's border is; the ink is the side of it (darker or lighter) that
    holds more. The faintest tenth counts as paper: it is noise and the traces of compression.

    Args:
        grey: float ``[height, width]``, black 0, white 1.

    Returns:
        float ``[height, width]``, paper 0, the strongest ink 1.

    Raises:
        ValueError: the picture is blank.
    """
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    difference = grey - np.median(border)
    lighter, darker = np.maximum(difference, 0), np.maximum(-difference, 0)
    ink = lighter if lighter.sum() > darker.sum() else darker
    if ink.max() < FAINTEST:
        raise ValueError(
            "the picture is blank, or its ink is hardly darker than its paper; draw a digit on it"
        )
    ink = ink / ink.max()
    return np.where(ink < FAINTEST, 0.0, ink)


def _grey(image) -> np.ndarray:
    """Grey values of an open Pillow image."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, float)
        # Sixteen bits fill this range; other depths in these modes have no fixed white.
        return values / max(65535.0 if image.mode.startswith("I") else 1.0, float(values.max()))
    pixels = np.asarray(image.convert("RGBA"), float) / 255
    grey, alpha = pixels[..., :3] @ LUMA, pixels[..., 3]
    drawn = (grey * alpha).sum() / max(alpha.sum(), 1e-12)
    paper = 1.0 if drawn < 0.5 or alpha.min() == 1 else 0.0
    return grey * alpha + paper * (1 - alpha)


def _too_large(path: Path, size: str) -> str:
    return f"{path}: {size} pixels, and at most {MAX_PIXELS:,} are read; scale the picture down"
