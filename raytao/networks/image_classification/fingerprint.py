"""What a data set is, in a few values that change when it does; no path, no image is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import assert_never

from raytao.networks.image_classification import fashion_mnist
from raytao.networks.image_classification.data import listing_of
from raytao.networks.image_classification.settings import DatasetSection
from raytao.types import Json


def fingerprint(dataset: DatasetSection) -> Mapping[str, Json]:
    """Count the files, add their sizes and digest both with their names.

    A file that was changed in place without a change of its size is not noticed here.

    Raises:
        UserError: as ``check_files`` does.
    """
    match dataset.name:
        case "digits":
            return {"name": "digits"}
        case "fashion_mnist":
            return {"name": "fashion_mnist", **_of_files(fashion_mnist.sizes(dataset.root))}
        case "folder":
            parts = listing_of(dataset).parts
            found = [(f.path, f.size) for p in parts for _, files in p.classes for f in files]
            return {"name": "folder", **_of_files(found)}
        case other:
            assert_never(other)


def _of_files(files: Sequence[tuple[str, int]]) -> dict[str, Json]:
    names = json.dumps(sorted(files)).encode()
    return {
        "files": len(files),
        "bytes": sum(size for _, size in files),
        "digest": hashlib.sha256(names).hexdigest()[:16],
    }
