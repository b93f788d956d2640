"""A user's own images: what is found, how it is cut, what is left out and what is refused."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_folders import (
    folder_spec,
    plain_image,
    write_classes,
    write_colours,
    write_digits,
    write_image,
)
from trainers import NETWORK

from raytao.errors import DataError, SpecError, UserError
from raytao.networks.image_classification.data import Data, load
from raytao.networks.image_classification.kinds import Shape
from raytao.networks.image_classification.reading import check_memory, machine_memory
from raytao.networks.image_classification.settings import read_settings


def data_of(root: Path, **dataset: Any) -> Data:
    spec = folder_spec(root, **dataset)
    NETWORK.check(spec)
    return load(read_settings(spec).dataset)


def counts(root: Path, **dataset: Any) -> dict[str, int]:
    """Images of each part, as they are trained with."""
    section = read_settings(folder_spec(root, **dataset)).dataset
    data = load(section)
    train, val = data.parts(section)
    return {"train": len(train.labels), "val": len(val.labels), "test": len(data.test.labels)}


def pixels_of(data: Data) -> set[bytes]:
    return {bytes(image) for part in (data.pool, data.test) for image in part.pixels}


def test_every_image_is_read_once_and_labelled_by_its_folder(tmp_path: Path) -> None:
    write_digits(tmp_path, range(200))
    data = data_of(tmp_path)
    assert data.kind.classes == tuple("0123456789")
    assert data.kind.shape == Shape(channels=1, side=8, white=255)
    assert len(data.pool.labels) + len(data.test.labels) == 200
    first = np.flatnonzero(data.pool.labels == 3)[0]
    files = sorted((tmp_path / "3").iterdir())
    assert bytes(data.pool.pixels[first]) in {read_grey(path) for path in files}


def read_grey(path: Path) -> bytes:
    from PIL import Image

    with Image.open(path) as image:
        return bytes(np.asarray(image))


def test_the_default_is_colour_of_32_pixels(tmp_path: Path) -> None:
    spec = {"dataset": {"name": "folder", "root": str(write_colours(tmp_path, 4))}}
    NETWORK.check(spec)
    data = load(read_settings(spec).dataset)
    assert data.pool.pixels.shape == (9, 3, 32, 32)
    assert NETWORK.example(spec).shape == (2, 3, 32, 32)


def test_an_example_needs_no_folder(tmp_path: Path) -> None:
    assert NETWORK.example(folder_spec(tmp_path / "absent")).shape == (2, 1, 8, 8)


def test_colours_are_measured_channel_by_channel(tmp_path: Path) -> None:
    data = data_of(write_colours(tmp_path, 20), image_size=12, channels=3)
    pixels = data.pool.pixels.astype(float)
    assert data.statistics.mean == pytest.approx(pixels.mean(axis=(0, 2, 3)))
    assert data.statistics.std == pytest.approx(pixels.std(axis=(0, 2, 3)))
    red = data.kind.classes.index("red")
    strongest = pixels[data.pool.labels == red].mean(axis=(0, 2, 3)).argmax()
    assert strongest == 0


def test_images_of_one_colour_have_a_spread_that_can_be_divided_by(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for index in range(3):
            write_image(tmp_path / name / f"{index}.png", np.full((8, 8), 7, np.uint8))
    statistics = data_of(tmp_path).statistics
    assert (statistics.mean, statistics.std) == ((7.0,), (1.0,))


def test_the_split_does_not_depend_on_the_order_in_which_files_appear(tmp_path: Path) -> None:
    first, second = write_digits(tmp_path / "first", range(150)), tmp_path / "second"
    files = sorted(first.rglob("*.png"))
    random.Random(0).shuffle(files)
    for path in files:
        target = second / path.relative_to(first)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    one, other = data_of(first), data_of(second)
    for mine, theirs in ((one.pool, other.pool), (one.test, other.test)):
        assert np.array_equal(mine.pixels, theirs.pixels)
        assert np.array_equal(mine.labels, theirs.labels)


def test_raytao_holds_out_a_quarter_of_every_class(tmp_path: Path) -> None:
    data = data_of(write_classes(tmp_path, {"a": 40, "b": 20, "c": 3}))
    assert np.bincount(data.test.labels).tolist() == [10, 5, 1]
    assert np.bincount(data.pool.labels).tolist() == [30, 15, 2]
    assert counts(tmp_path, val_split=0.5) == {"train": 23, "val": 24, "test": 16}


def tao_folder(root: Path, **parts: dict[str, int]) -> Path:
    for name, sizes in parts.items():
        write_classes(root / name, sizes)
    return root


SIZES = {"a": 12, "b": 12}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"train": 12, "val": 4, "test": 6}, {"train": 24, "val": 8, "test": 12}),
        ({"train": 12, "test": 6}, {"train": 20, "val": 4, "test": 12}),
        ({"train": 12, "val": 4}, {"train": 18, "val": 8, "test": 6}),
        ({"train": 12}, {"train": 14, "val": 4, "test": 6}),
    ],
    ids=["all", "no val", "no test", "train only"],
)
def test_taos_parts_are_kept_and_the_missing_ones_are_cut_from_train(
    given: dict[str, int], expected: dict[str, int], tmp_path: Path
) -> None:
    tao_folder(tmp_path, **{name: {"a": n, "b": n} for name, n in given.items()})
    spec = folder_spec(tmp_path)
    NETWORK.check(spec)
    assert counts(tmp_path) == expected
    said = "{train} to train, {val} to validate, {test} to test".format(**expected)
    assert said in NETWORK.notes(spec)[0]


def test_the_images_that_a_folder_gives_for_validation_and_test_are_used(tmp_path: Path) -> None:
    tao_folder(tmp_path, train=SIZES)
    for part, shade in (("val", 50), ("test", 200)):
        for name in SIZES:
            write_image(tmp_path / part / name / "x.png", np.full((8, 8), shade, np.uint8))
    data = data_of(tmp_path, val_split=0.5)
    assert data.val is not None
    assert set(data.val.pixels.ravel()) == {50}
    assert set(data.test.pixels.ravel()) == {200}
    train, _ = data.parts(read_settings(folder_spec(tmp_path, train_fraction=0.5)).dataset)
    assert np.bincount(train.labels).tolist() == [6, 6]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    (tmp_path / "train" / "nested").mkdir(parents=True)
    assert data_of(write_classes(tmp_path, {"car": 4, "test": 4, "train": 4})).kind.classes == (
        "car",
        "test",
        "train",
    )


def test_the_names_of_classes_are_data(tmp_path: Path) -> None:
    names = {"%s {0} $HOME", "a\nb", "-rf", "猫", "'\"`"}
    data = data_of(write_classes(tmp_path, dict.fromkeys(names, 3)))
    assert data.kind.classes == tuple(sorted(names))
    assert NETWORK.checkpoint_bytes(folder_spec(tmp_path)) > 0


def test_what_is_no_image_is_counted_and_named(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "photos", {"cat": 5, "dog": 5})
    outside = tmp_path / "outside"
    write_classes(outside, {"bird": 5})
    for index in range(5):
        (root / "cat" / f"note{index}.txt").write_text("words")
    (root / "cat" / "fake.png").write_text("no image")
    (root / "dog" / ".DS_Store").write_text("hidden")
    (root / ".git").mkdir()
    (root / "README.md").write_text("beside")
    (root / "dog" / "more").mkdir()
    (root / "bird").symlink_to(outside / "bird")
    (root / "dog" / "link.png").symlink_to(outside / "bird" / "0.png")
    (root / "dog" / "gone.png").symlink_to(root / "dog" / "nowhere.png")
    os.mkfifo(root / "dog" / "pipe.png")
    NETWORK.check(folder_spec(root))
    found, *left_out = NETWORK.notes(folder_spec(root))
    assert found.startswith(f"{str(root)!r} holds 10 images in 2 classes: 6 to train")
    assert left_out == [
        "left out 1, beside the class folders: 'README.md'",
        "left out 1, folders inside a class folder: 'dog/more'",
        "left out 2, hidden: '.git', 'dog/.DS_Store'",
        "left out 2, links that lead out of the folder: 'bird', 'dog/link.png'",
        "left out 2, neither file nor folder: 'dog/gone.png', 'dog/pipe.png'",
        "left out 1, with an image's suffix but not its content: 'cat/fake.png'",
        "left out 5, without an image's suffix (.bmp .gif .jpeg .jpg .pgm .png .ppm .tif .tiff "
        ".webp): 'cat/note0.txt', 'cat/note1.txt', 'cat/note2.txt' and 2 more",
    ]
    assert data_of(root).kind.classes == ("cat", "dog")


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    root = write_classes(tmp_path, {"a": 4, "b": 3})
    (root / "b" / "link.png").symlink_to(root / "a" / "0.png")
    assert len(pixels_of(data_of(root))) == 7
    assert "holds 8 images" in NETWORK.notes(folder_spec(root))[0]


def test_other_folders_beside_taos_parts_are_left_out(tmp_path: Path) -> None:
    tao_folder(tmp_path, train=SIZES, valid=SIZES)
    assert NETWORK.notes(folder_spec(tmp_path))[1:] == (
        "left out 1, beside the class folders: 'valid'",
    )


def test_the_known_data_sets_need_no_note() -> None:
    assert NETWORK.notes({}) == ()


Make = Callable[[Path], object]

REFUSED: dict[str, tuple[Make, str, str]] = {
    "missing": (
        lambda root: None,
        r"root' cannot be listed as a folder \(No such file or directory\)",
        "relative path",
    ),
    "a file": (
        lambda root: root.write_text("x"),
        r"root' cannot be listed as a folder \(Not a directory\)",
        "name the folder",
    ),
    "empty": (lambda root: root.mkdir(), "no class folder in it, 0 images beside", "<class>"),
    "loose images": (
        lambda root: write_classes(root, {"": 5}),
        "no class folder in it, 5 images beside",
        "one folder a class",
    ),
    "one class": (
        lambda root: write_classes(root, {"cat": 9}),
        "one class only, 'cat'",
        "one folder a class",
    ),
    "small classes": (
        lambda root: write_classes(root, {"a": 9, "b": 2, "c": 0, "d": 1, "e": 1}),
        "4 of 5 classes need more images, each at least 3: "
        "'b' has 2, 'c' has 0, 'd' has 1 and 1 more",
        "every class needs one to train, val, test",
    ),
    "no real images": (
        lambda root: [write_classes(root, {"a": 9, "b": 2}), (root / "b/x.png").write_text("x")],
        "1 of 2 classes need more images, each at least 3: "
        r"'b' has 2 \(1 left out, being no images\)",
        "add images",
    ),
    "no train": (
        lambda root: tao_folder(root, val=SIZES, test=SIZES),
        "there is val, test, but no folder train",
        "train,val,test",
    ),
    "other classes": (
        lambda root: tao_folder(root, train=SIZES, val={"a": 3, "c": 3}, test=SIZES),
        "train, val, test must hold the same classes, but 'b' is missing in val, "
        "'c' is missing in train, 'c' is missing in test",
        "add the folders",
    ),
    "empty class in val": (
        lambda root: tao_folder(root, train=SIZES, val={"a": 3, "b": 0}),
        "1 of 2 classes need more images in val, each at least 1: 'b' has 0",
        "add images",
    ),
    "too few to cut": (
        lambda root: tao_folder(root, train={"a": 9, "b": 1}, test=SIZES),
        "1 of 2 classes need more images in train, each at least 2: 'b' has 1",
        "to train, val",
    ),
    "not UTF-8": (
        lambda root: [
            write_classes(root, {"a": 3}),
            write_classes(root / os.fsdecode(b"caf\xe9"), {"": 3}),
        ],
        r"the class folder 'caf\\udce9' is not named in UTF-8",
        "rename",
    ),
}


@pytest.mark.parametrize(("make", "rule", "remedy"), REFUSED.values(), ids=REFUSED)
def test_a_folder_that_cannot_be_learned_is_refused_before_it_is_read(
    make: Make, rule: str, remedy: str, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    make(root)
    spec = folder_spec(root)
    for ask in (NETWORK.check, NETWORK.notes, NETWORK.checkpoint_bytes):
        with pytest.raises(DataError, match=rule) as refused:
            ask(spec)
        assert refused.value.message.startswith("dataset.root: ")
        assert str(root) in refused.value.message
        assert remedy in refused.value.remedy


def test_a_folder_without_a_root_is_refused() -> None:
    with pytest.raises(SpecError, match=r"dataset\.root = None: the data set folder"):
        NETWORK.check({"dataset": {"name": "folder"}})


def test_an_unreadable_folder_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        root = tmp_path / "loop"
        root.symlink_to(root)
    else:
        root = write_classes(tmp_path, {"a": 3, "b": 3})
        (root / "b").chmod(0)
    with pytest.raises(DataError, match="cannot be listed as a folder"):
        NETWORK.check(folder_spec(root))


def test_an_image_that_is_cut_short_is_named_when_it_is_read(tmp_path: Path) -> None:
    root = write_classes(tmp_path, {"a": 3, "b": 3})
    victim = root / "b" / "1.png"
    victim.write_bytes(victim.read_bytes()[:-30])
    NETWORK.check(folder_spec(root))
    with pytest.raises(DataError, match=r"b/1\.png' cannot be decoded \(") as refused:
        load(read_settings(folder_spec(root)).dataset)
    assert "take it out of the folder" in refused.value.remedy
    victim.unlink()
    write_image(victim, plain_image(4))
    assert data_of(root).kind.classes == ("a", "b")


def test_images_too_large_for_the_memory_are_refused_with_both_sizes() -> None:
    shape = Shape(channels=3, side=512, white=255)
    size = 2 * 10_000 * 3 * 512**2
    check_memory(10_000, shape, machine=2 * size)
    with pytest.raises(DataError) as refused:
        check_memory(10_000, shape, machine=2 * size - 2)
    assert refused.value.message == (
        "dataset.root: 10000 images of 3x512x512 need 14.6 GiB of memory, each image 2 times; "
        "the rule is at most 50% of this machine's 29.3 GiB"
    )
    assert "dataset.image_size" in refused.value.remedy


def test_this_machine_has_memory() -> None:
    assert 2**28 < machine_memory() < 2**50


def test_a_folder_is_read_once_until_it_changes(tmp_path: Path) -> None:
    root = write_classes(tmp_path, {"a": 4, "b": 4})
    data = data_of(root)
    assert data_of(root, batch_size=7) is data
    assert data_of(root, image_size=9) is not data
    write_image(root / "b" / "new.png", plain_image(77))
    changed = data_of(root)
    assert pixels_of(changed) == pixels_of(data) | {bytes(plain_image(77))}


def test_a_relative_root_starts_at_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_classes(tmp_path / "photos", {"a": 3, "b": 3})
    monkeypatch.chdir(tmp_path)
    NETWORK.check(folder_spec(Path("photos")))
    monkeypatch.chdir(tmp_path / "photos")
    with pytest.raises(UserError, match="photos/photos"):
        NETWORK.check(folder_spec(Path("photos")))
