"""One image file of any common format becomes a square of bytes.

A picture is turned upright as its EXIF tag says, put on mid-grey where it is transparent (black
and white drawings both stay visible), made grey or RGB, and resized to a square whatever its
shape; 16-bit pixels keep their upper byte. Of an animation the first picture counts. Only the
formats listed here are ever decoded, whatever else Pillow can read.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from raytao.errors import DataError
from raytao.networks.image_classification.kinds import Shape
from raytao.networks.image_classification.split import Pixels

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES: Final = (
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pgm"),
    *(".png", ".ppm", ".tif", ".tiff", ".webp"),
)
_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES: Final = {
    *("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"),
    *("I;16", "I;16B", "I;16L"),
}
_WIDE_IN: Final = ("PNG", "PPM")
"""Formats whose 32-bit mode ``I`` means 16-bit grey."""

_MID_GREY: Final = (128, 128, 128, 255)

# What Pillow raises for content that is cut short or garbled, one way or another.
_GARBLED: Final = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
    *(OverflowError, struct.error, zlib.error),
)


def is_picture(path: Path) -> bool:
    """Whether a file's header is that of an image; its pixels are not decoded.

    Raises:
        DataError: if the file cannot be opened, or is an image that raytao does not take: one
            too large to be decoded safely, or one whose pixels have no known range.
    """
    try:
        with _opened(path) as image:
            mode, known = image.mode, _known(image)
    except DataError:
        raise
    except _GARBLED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise _refused(path, f"cannot be read ({error.strerror})") from error
        return False
    if not known:
        raise _refused(
            path,
            f"has pixels of mode {mode!r}, whose range nobody knows",
            remedy="save it with 8 or 16 bits a channel, or take it out of the folder",
        )
    return True


def read_picture(path: Path, shape: Shape) -> Pixels:
    """Decode a file to uint8 pixels of shape (channels, side, side).

    Raises:
        DataError: naming the file, if it is cut short, garbled or too large.
    """
    try:
        with _opened(path) as image:
            # A photograph is decoded at the smallest scale that still has twice the pixels.
            image.draft(None, (2 * shape.side, 2 * shape.side))
            return _square(image, shape)
    except DataError:
        raise
    except _GARBLED as error:
        raise _refused(path, f"cannot be decoded ({error})") from error


def _square(image: Image.Image, shape: Shape) -> Pixels:
    import numpy as np
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image)
    flat = _opaque(_eight_bits(upright)).convert("L" if shape.channels == 1 else "RGB")
    resized = flat.resize((shape.side, shape.side), Image.Resampling.BILINEAR)
    pixels = np.asarray(resized, np.uint8).reshape(shape.side, shape.side, shape.channels)
    return pixels.transpose(2, 0, 1)


def _opaque(image: Image.Image) -> Image.Image:
    from PIL import Image

    if not image.mode.endswith("A") and "transparency" not in image.info:
        return image
    background = Image.new("RGBA", image.size, _MID_GREY)
    return Image.alpha_composite(background, image.convert("RGBA"))


def _eight_bits(image: Image.Image) -> Image.Image:
    import numpy as np
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    wide = np.asarray(image).clip(0, 0xFFFF)
    return Image.fromarray((wide >> 8).astype(np.uint8))


def _known(image: Image.Image) -> bool:
    return image.mode in _MODES or (image.mode == "I" and image.format in _WIDE_IN)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image lazily; Pillow's limit on its pixels is a refusal, other warnings are not."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=_FORMATS) as image:
                yield image
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _refused(
                path,
                f"has more than the {Image.MAX_IMAGE_PIXELS} pixels that are safe to decode",
                remedy="save it smaller, or take it out of the folder",
            ) from error


def _refused(path: Path, what: str, *, remedy: str = "") -> DataError:
    remedy = remedy or "repair the file, or take it out of the folder"
    return DataError(f"dataset.root: {str(path)!r} {what}", remedy=remedy)
