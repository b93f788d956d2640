"""A perceptron on handwritten digits, in as many processes as the launcher starts."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


def parts(file: str) -> tuple[TensorDataset, TensorDataset]:
    """Every fourth image validates."""
    with np.load(file) as data:
        images = torch.tensor(data["images"], dtype=torch.float32) / 16
        classes = torch.tensor(data["classes"], dtype=torch.long)
    held_out = torch.arange(len(images)) % 4 == 0
    train = TensorDataset(images[~held_out], classes[~held_out])
    return train, TensorDataset(images[held_out], classes[held_out])


def measured(model: nn.Module, images: TensorDataset) -> dict[str, float]:
    pixels, classes = images.tensors
    with torch.no_grad():
        scores = model(pixels)
    right = (scores.argmax(1) == classes).float().mean()
    loss = nn.functional.cross_entropy(scores, classes)
    return {"accuracy": right.item(), "loss": loss.item()}


def main(spec: Mapping[str, Any], out: Path, epochs: int, resume: Path | None) -> None:
    dist.init_process_group("gloo")
    rank, train = dist.get_rank(), spec["train"]
    torch.manual_seed(train["seed"])
    seen, held_out = parts(spec["data"]["file"])
    net = nn.Sequential(nn.Linear(64, spec["model"]["width"]), nn.ReLU())
    net.append(nn.Linear(spec["model"]["width"], 10))
    model = DistributedDataParallel(net)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=train["learning_rate"], momentum=train["momentum"]
    )
    done = 0
    if resume is not None:
        state = torch.load(resume, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["epoch"]
    sampler: DistributedSampler[Any] = DistributedSampler(seen, seed=train["seed"])
    batches = DataLoader(seen, batch_size=train["batch_size"], sampler=sampler)
    for epoch in range(done + 1, epochs + 1):
        sampler.set_epoch(epoch)
        for pixels, classes in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(pixels), classes)
            loss.backward()  # type: ignore[no-untyped-call]  # torch types it in parts
            optimizer.step()
        if rank == 0:
            state = {"epoch": epoch, "net": net.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state, out / f"epoch_{epoch:02d}.pt")
            told = {"epoch": epoch, "processes": dist.get_world_size()}
            sys.stdout.write(json.dumps({**told, "val": measured(net, held_out)}) + "\n")
            sys.stdout.flush()
        time.sleep(train["pause"])
    # The last owner of the group must not be the model: it would wait for gloo's threads without
    # giving up Python's lock, which they may need.
    del model
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("spec", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--resume", type=Path)
    given = parser.parse_args()
    checkpoints = given.out / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    main(json.loads(given.spec.read_text()), checkpoints, given.epochs, given.resume)
