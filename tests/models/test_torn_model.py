"""A model is not taken from a folder that is half replaced."""

from __future__ import annotations

import uuid

import pytest

from raytao.errors import FolderError
from raytao.models.find import find
from raytao.runs.object_folder import MANIFEST, Manifest
from raytao.runs.place import place_of, store_at
from raytao.tao import layout


@pytest.mark.parametrize("whole", [True, False])
def test_a_model_is_not_taken_from_a_folder_that_is_half_replaced(whole: bool) -> None:
    results = place_of(f"memory://{uuid.uuid4().hex}/run")
    store = store_at(results)
    store.replace(f"{layout.BEST_MODEL}/log.txt", b"one of the files")
    manifest = Manifest("1", layout.BEST_MODEL_STAGED, layout.BEST_MODEL, {"log.txt": 16}, whole)
    store.replace(f"{layout.BEST_MODEL}/{MANIFEST}", manifest.to_bytes(whole=whole))
    with pytest.raises(FolderError) as no:
        find(results)
    assert ("is half replaced by a better model" in str(no.value)) != whole
