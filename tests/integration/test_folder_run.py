"""A user's own images on Ray: relative paths hold in the trials, strays are counted and named."""

from __future__ import annotations

from pathlib import Path

import driver
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import raytao

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RUN = """
network: image_classification
set:
  dataset: {name: folder, root: photos, image_size: 8, channels: 1, batch_size: 32}
  train.num_epochs: 4
brain: {name: random, max_recommendations: 2}
search: {only: [train.optim.lr]}
results_dir: results
"""


def test_a_folder_of_images_is_tuned_from_a_relative_path(tmp_path: Path) -> None:
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        place = tmp_path / "photos" / f"digit_{label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype("uint8")).save(place / f"{number}.png")
    (tmp_path / "photos" / "digit_3" / "notes.txt").write_text("taken on a Monday")
    (tmp_path / "run.yaml").write_text(RUN)
    done = driver.command("run", "run.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left out 1" in done.stderr
    assert "notes.txt" in done.stderr
    best = raytao.open(tmp_path / "results").best
    assert best is not None
    assert best.value > 0.8
    assert best.load().classes == tuple(f"digit_{label}" for label in range(10))
    measured = driver.command("evaluate", "results", cwd=tmp_path)
    assert measured.returncode == 0, measured.stderr
    assert "test_acc" in measured.stdout
