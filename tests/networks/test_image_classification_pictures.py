"""One image file: every format, mode and kind of damage, and what becomes of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from raytao.errors import DataError
from raytao.networks.image_classification.kinds import Shape
from raytao.networks.image_classification.pictures import is_picture, read_picture

GREY = Shape(channels=1, side=8, white=255)
COLOUR = Shape(channels=3, side=8, white=255)

RGB = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
LUMA = np.asarray(Image.fromarray(RGB).convert("L"))


def written(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["bmp", "png", "ppm", "tif", "webp"])
def test_a_lossless_format_gives_the_pixels_that_were_written(suffix: str, tmp_path: Path) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    path = written(tmp_path / f"x.{suffix}", Image.fromarray(RGB), **options)
    assert is_picture(path)
    assert np.array_equal(read_picture(path, COLOUR), RGB.transpose(2, 0, 1))
    assert np.array_equal(read_picture(path, GREY), LUMA[None])


@pytest.mark.parametrize("suffix", ["jpg", "gif"])
def test_a_lossy_format_gives_nearly_the_pixels_that_were_written(
    suffix: str, tmp_path: Path
) -> None:
    smooth = np.kron(np.array([[0, 90], [180, 255]]), np.ones((32, 32))).astype(np.uint8)
    path = written(tmp_path / f"x.{suffix}", Image.fromarray(smooth))
    assert is_picture(path)
    pixels = read_picture(path, COLOUR).astype(int)
    expected = np.kron(np.array([[0, 90], [180, 255]]), np.ones((4, 4)))
    assert (
        np.abs(pixels[:, [0, 0, 7, 7], [0, 7, 0, 7]] - expected[[0, 0, 7, 7], [0, 7, 0, 7]]).max()
        < 6
    )


def test_the_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    path = written(tmp_path / "x.png", Image.fromarray(RGB), format="BMP")
    assert is_picture(path)
    assert np.array_equal(read_picture(path, COLOUR), RGB.transpose(2, 0, 1))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_photograph_is_turned_upright(suffix: str, tmp_path: Path) -> None:
    left_dark = np.repeat(np.array([[0] * 16 + [255] * 16], np.uint8), 32, axis=0)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the left side is the top
    path = written(tmp_path / f"x.{suffix}", Image.fromarray(left_dark), exif=exif)
    pixels = read_picture(path, GREY)[0]
    assert pixels[:3].max() < 30
    assert pixels[5:].min() > 225


@pytest.mark.parametrize("drawn", [0, 255])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_drawing_on_a_transparent_ground_stays_visible(
    mode: str, drawn: int, tmp_path: Path
) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[2:6, 2:6] = (drawn, drawn, drawn, 255)
    path = written(tmp_path / "x.png", Image.fromarray(rgba).convert(mode))
    pixels = read_picture(path, GREY)[0]
    assert set(pixels[2:6, 2:6].ravel()) == {drawn}
    assert set(pixels[0]) == {128}


def test_a_transparent_palette_is_seen_on_the_same_ground(tmp_path: Path) -> None:
    image = Image.fromarray(np.eye(8, dtype=np.uint8), mode=None).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    path = written(tmp_path / "x.png", image, transparency=0)
    pixels = read_picture(path, COLOUR)
    assert pixels[:, 0, 0].tolist() == [0, 0, 255]
    assert pixels[:, 0, 1].tolist() == [128, 128, 128]


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_keep_their_upper_byte(suffix: str, tmp_path: Path) -> None:
    wide = np.random.default_rng(1).integers(0, 65536, (8, 8)).astype(np.uint16)
    path = written(tmp_path / f"x.{suffix}", Image.fromarray(wide))
    assert is_picture(path)
    assert np.array_equal(read_picture(path, GREY)[0], wide >> 8)


@pytest.mark.parametrize("mode", ["1", "L", "CMYK"])
def test_other_modes_become_grey_and_colour(mode: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.tif", Image.fromarray(RGB).convert(mode))
    assert read_picture(path, GREY).shape == (1, 8, 8)
    assert read_picture(path, COLOUR).shape == (3, 8, 8)


def test_any_shape_becomes_a_square(tmp_path: Path) -> None:
    tall = np.repeat(np.array([[0], [255]], np.uint8), 50, axis=0).repeat(3, axis=1)
    pixels = read_picture(written(tmp_path / "x.png", Image.fromarray(tall)), GREY)[0]
    assert pixels.shape == (8, 8)
    assert pixels[:3].max() < 30
    assert pixels[5:].min() > 225


@pytest.mark.parametrize("side", [9_500, 14_000])
def test_an_image_too_large_to_decode_is_refused_by_its_header(side: int, tmp_path: Path) -> None:
    path = written(tmp_path / "huge.png", Image.new("1", (side, side)))
    for look in (is_picture, lambda path: read_picture(path, GREY)):
        with pytest.raises(DataError, match=r"huge\.png' has more than the 89478485 pixels"):
            look(path)


def test_pixels_without_a_known_range_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "heights.tif", Image.fromarray(np.zeros((8, 8), np.float32)))
    with pytest.raises(DataError, match=r"heights\.tif' has pixels of mode 'F'"):
        is_picture(path)


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n"]
)
def test_other_content_is_no_picture(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    assert not is_picture(path)


def test_a_format_that_is_not_listed_is_no_picture_though_pillow_knows_it(tmp_path: Path) -> None:
    assert not is_picture(written(tmp_path / "x.png", Image.fromarray(RGB), format="PCX"))


def test_a_file_that_is_gone_is_an_error_and_not_a_stray(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png' cannot be read \(No such file"):
        is_picture(tmp_path / "gone.png")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An image file that was cut short or had some bytes changed."""
    suffix = draw(st.sampled_from(["BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP"]))
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, suffix)
    content = bytearray(buffer.getvalue()[: draw(st.integers(0, buffer.tell()))])
    for _ in range(draw(st.integers(0, 3)) if content else 0):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content)


@given(content=damaged())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damage_is_a_stray_or_an_error_that_names_the_file_and_nothing_else(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.png"
    path.write_bytes(content)
    said = None
    try:
        pixels = read_picture(path, GREY) if is_picture(path) else None
    except DataError as error:
        said = error
    if said is None:
        assert pixels is None or pixels.shape == (1, 8, 8)
    else:
        assert "damaged.png" in said.message
        assert said.remedy
