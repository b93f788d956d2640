"""Random changes to training images, a batch at a time.

hflip is the probability of a mirror image, translate the largest shift as a share of the side,
rotate the largest angle in degrees, cutout the side of an erased square as a share of the side
(DeVries and Taylor 2017). 0 turns each one off.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample

from raytao.networks.image_classification.settings import AugmentationSection
from raytao.networks.parallel import Share, share_of


def augment(
    images: Tensor,
    settings: AugmentationSection,
    generator: Generator,
    share: Share | None = None,
) -> Tensor:
    """Return changed copies of ``images``.

    Args:
        images: float pixels of shape (n, 1, side, side), 0 where there is background.
        settings: what may happen.
        generator: a CPU generator, so that a GPU training draws the same changes.
        share: which part of a batch they are; None: all of it. The changes are drawn for the
            whole batch, so that they do not depend on who trains which part.
    """
    share = share or share_of(len(images), rank=0, world=1)
    if settings.hflip or settings.translate or settings.rotate:
        images = _warp(images, settings, generator, share)
    if settings.cutout:
        images = _cut_out(images, settings.cutout, generator, share)
    return images


def _uniform(n: int, limit: float, generator: Generator) -> Tensor:
    """Draw n values from [-limit, limit)."""
    return (2 * torch.rand(n, generator=generator) - 1) * limit


def _warp(
    images: Tensor, settings: AugmentationSection, generator: Generator, share: Share
) -> Tensor:
    """Mirror, turn and shift in one resampling; what comes in from outside is background."""
    n, side = share.of, images.shape[-1]
    mirror = 1.0 - 2.0 * (torch.rand(n, generator=generator) < settings.hflip).float()
    angle = _uniform(n, math.radians(settings.rotate), generator)
    # Whole pixels, so that a shift alone does not blur; the grid's unit is half the side.
    shift = [
        2 * torch.round(_uniform(n, settings.translate * side, generator)) / side for _ in "xy"
    ]
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = torch.stack([mirror * cos, -mirror * sin, shift[0], sin, cos, shift[1]], dim=1)
    matrices = rows.view(n, 2, 3)[share.rows].to(images.device, images.dtype)
    grid = affine_grid(matrices, list(images.shape), False)
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _cut_out(images: Tensor, size: float, generator: Generator, share: Share) -> Tensor:
    """Erase one square an image, its centre anywhere; a part may lie outside."""
    side = images.shape[-1]
    centre = (torch.rand(share.of, 2, generator=generator) * side)[share.rows]
    pixel = torch.arange(side) + 0.5
    near = (pixel - centre[:, :, None]).abs() <= size * side / 2
    erased = (near[:, 0, :, None] & near[:, 1, None, :]).to(images.device)
    return images.masked_fill(erased[:, None], 0.0)
