"""A trial that has a share of a GPU takes no more of its memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from trainers import Recorder, small_spec

from raytao.networks.image_classification import ImageClassification

pytestmark = pytest.mark.gpu


class Sharing(Recorder):
    """A context of a trial with a sixteenth of a GPU."""

    def gpu_memory_share(self, total: int) -> float:
        return 1 / 16


@pytest.fixture(autouse=True)
def _all_memory_again() -> Iterator[None]:
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_a_training_cannot_take_more_of_a_gpus_memory_than_its_share() -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    ImageClassification().train(small_spec(), Sharing(stop_epoch=1, gpus=1))
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(total // 8, dtype=torch.uint8, device="cuda")
    torch.empty(total // 32, dtype=torch.uint8, device="cuda")
