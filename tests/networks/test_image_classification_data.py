"""The splits and the random changes to images."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raytao.errors import DataError
from raytao.networks.image_classification.augment import augment
from raytao.networks.image_classification.data import check_files, load
from raytao.networks.image_classification.fashion_mnist import FASHION_MNIST_FOLDER
from raytao.networks.image_classification.settings import AugmentationSection, DatasetSection
from raytao.networks.image_classification.split import Labels, split

DIGITS = DatasetSection()
FASHION = DatasetSection(name="fashion_mnist")

needs_fashion_mnist = pytest.mark.skipif(
    not FASHION_MNIST_FOLDER.is_dir(), reason=f"no Fashion-MNIST in {FASHION_MNIST_FOLDER}"
)


@st.composite
def labelled(draw: st.DrawFn) -> Labels:
    """Labels of up to five classes with at least two members each, in any order."""
    sizes = draw(st.lists(st.integers(2, 60), min_size=1, max_size=5))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(draw(st.integers(0, 99))).permutation(labels).astype(np.int64)


shares = st.floats(0.01, 0.5)
fractions = st.floats(0.01, 1.0)


@given(labels=labelled(), share=shares)
def test_a_split_is_disjoint_complete_and_in_proportion(labels: Labels, share: float) -> None:
    train, val = split(labels, val_split=share, train_fraction=1.0)
    assert sorted([*train, *val]) == list(range(len(labels)))
    for label in np.unique(labels):
        size = int((labels == label).sum())
        held = int((labels[val] == label).sum())
        assert 1 <= held < size
        assert abs(held - share * size) <= 1


@given(labels=labelled(), share=shares, small=fractions, large=fractions)
def test_a_smaller_train_fraction_is_a_subset_and_leaves_validation_alone(
    labels: Labels, share: float, small: float, large: float
) -> None:
    small, large = sorted((small, large))
    few, val = split(labels, val_split=share, train_fraction=small)
    many, same_val = split(labels, val_split=share, train_fraction=large)
    assert set(few) <= set(many)
    assert val.tolist() == same_val.tolist()
    assert set(labels[few]) == set(labels)


def test_digits_hold_out_a_quarter_for_the_test() -> None:
    from sklearn.datasets import load_digits

    data = load(DIGITS)
    assert len(data.test.labels) >= 450
    assert np.bincount(data.test.labels).min() >= 43
    everything = np.concatenate([data.pool.pixels, data.test.pixels]).reshape(-1, 64)
    original = load_digits().data.astype(np.uint8)
    assert sorted(map(bytes, everything)) == sorted(map(bytes, original))


def test_the_held_out_digits_never_change() -> None:
    data = load(DIGITS)
    assert data.test.labels[:12].tolist() == [1, 3, 5, 0, 2, 3, 4, 5, 8, 3, 9, 5]
    _, val = split(data.pool.labels, val_split=0.2, train_fraction=1.0)
    assert val[:8].tolist() == [1, 4, 8, 11, 18, 22, 23, 27]


def test_a_data_set_is_read_once() -> None:
    assert load(DIGITS) is load(DatasetSection(batch_size=7))


def test_the_pixel_statistics_are_those_of_the_training_images() -> None:
    data = load(DIGITS)
    pixels, known = data.pool.pixels, data.statistics
    assert pixels.max() == data.kind.shape.white
    assert pixels.mean() == pytest.approx(known.mean[0], abs=0.05)
    assert pixels.std() == pytest.approx(known.std[0], abs=0.05)


@needs_fashion_mnist
def test_fashion_mnist_has_its_official_parts() -> None:
    data = load(FASHION)
    assert data.pool.pixels.shape == (60_000, 1, 28, 28)
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
    assert data.pool.labels[:8].tolist() == [9, 0, 0, 3, 0, 2, 7, 2]
    assert data.pool.pixels.mean() == pytest.approx(data.statistics.mean[0], abs=0.1)
    assert data.pool.pixels.std() == pytest.approx(data.statistics.std[0], abs=0.1)


@needs_fashion_mnist
@pytest.mark.parametrize("damage", ["cut short", "another file"])
def test_damaged_fashion_mnist_files_are_refused(tmp_path: Path, damage: str) -> None:
    for source in FASHION_MNIST_FOLDER.glob("*.gz"):
        (tmp_path / source.name).symlink_to(source)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    content = labels.read_bytes()
    labels.unlink()
    damaged = DatasetSection(name="fashion_mnist", root=str(tmp_path))
    if damage == "cut short":
        labels.write_bytes(content[: len(content) // 2])
        check_files(damaged)
        with pytest.raises(DataError, match="t10k-labels"):
            load(damaged)
    else:
        labels.write_bytes(gzip.compress(b"\0" * 100))
        with pytest.raises(DataError, match="begins with"):
            check_files(damaged)


def changed(images: torch.Tensor, settings: AugmentationSection, seed: int = 0) -> torch.Tensor:
    return augment(images, settings, torch.Generator().manual_seed(seed))


def test_no_augmentation_changes_nothing() -> None:
    images = torch.rand(3, 1, 8, 8)
    assert changed(images, AugmentationSection()) is images


@pytest.mark.parametrize("side", [8, 28])
def test_certain_mirroring_mirrors_left_and_right(side: int) -> None:
    images = torch.rand(5, 1, side, side)
    torch.testing.assert_close(
        changed(images, AugmentationSection(hflip=1.0)), images.flip(3), atol=1e-5, rtol=0
    )


@given(seed=st.integers(0, 999), translate=st.floats(0.01, 0.4), side=st.sampled_from([8, 28]))
def test_a_shift_moves_whole_pixels_no_further_than_asked(
    seed: int, translate: float, side: int
) -> None:
    images = torch.zeros(1, 1, side, side)
    images[0, 0, side // 2, side // 2] = 1.0
    moved = changed(images, AugmentationSection(translate=translate), seed)[0, 0]
    row, column = divmod(int(moved.argmax()), side)
    assert moved[row, column] == pytest.approx(1.0, abs=1e-3)
    assert max(abs(row - side // 2), abs(column - side // 2)) <= round(translate * side)


def test_a_turned_image_keeps_its_centre() -> None:
    images = torch.zeros(4, 1, 9, 9)
    images[:, 0, 4, 4] = 1.0
    turned = changed(images, AugmentationSection(rotate=90.0))
    torch.testing.assert_close(turned[:, 0, 4, 4], torch.ones(4), atol=1e-4, rtol=0)


@given(seed=st.integers(0, 999), cutout=st.floats(0.1, 0.75))
def test_cutout_erases_one_square_and_nothing_else(seed: int, cutout: float) -> None:
    erased = changed(torch.ones(1, 1, 28, 28), AugmentationSection(cutout=cutout), seed)[0, 0] == 0
    rows, columns = erased.any(dim=1), erased.any(dim=0)
    assert erased.equal(rows[:, None] & columns[None, :])
    assert max(int(rows.sum()), int(columns.sum())) <= cutout * 28 + 1
