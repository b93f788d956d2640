"""Trains in two processes, for a moment each time, as often as the argument says."""

from __future__ import annotations

import sys
from typing import NoReturn

import torch
from trainers import Recorder

from raytao.networks.parallel import process_group
from raytao.trials.folder import Resumed
from raytao.trials.messages import Broken, Job
from raytao.trials.ranks import Ranks


def train(rank: int) -> None:
    with process_group(Recorder(stop_epoch=1, rank=rank, world=2), torch.device("cpu")) as group:
        model = group.wrapped(torch.nn.Linear(4, 4))
        model(torch.rand(3, 4)).sum().backward()
        group.total(torch.ones(3)).tolist()


def give_up(broken: Broken) -> NoReturn:
    raise SystemExit(broken.reason)


def main(times: int) -> None:
    job = Job(
        "train", "brief", {}, "", "experiment_0", 0, 1, 0, 1, "val_acc", "maximize",
        seed=7, threads=1, gpus=0,
    )  # fmt: skip
    for _ in range(times):
        with Ranks(job, 2, lambda found, team: train(team.rank), give_up) as team:
            team.begin(Resumed(0, None, ()))
            train(0)
        assert team.broken is None, team.broken
    sys.stdout.write("all ended\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
