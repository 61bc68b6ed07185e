"""The crop of an iteration as two matrix products, with shapes that no crop changes.

Cropping, resizing bilinearly, flipping and rolling are linear and separate by axis: ``V X H^T`` for each channel X of
an image, with V and H of S x S for images of side S. Row k of V has the weights of the two source rows between which
output row k lies: ``max(0, 1 - |s - p_k|)`` for source row s at place p_k. So a step has the same shapes and the same
operations whatever is cropped, as a CUDA graph needs it, and its gradient is two products as well, the same bits each
time, where that of the slices is a scatter.

G groups of equal size stand one after another, each with a crop of its own.

Source: the geometry of torch's bilinear interpolation without aligned corners; the matrix form is ours. Held to
:func:`delt_engine.recovery.augment.apply_crop`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def crop_matrices(rows: Tensor, image_size: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return V and H of each row of a crop plan, ``(G, S, S)`` each, on the device of the rows.

    Args:
        rows: int64 ``(G, 7)``, the columns of :data:`delt_engine.recovery.augment.COLUMNS`.
        image_size: S.
    """
    top, left, height, width, is_flipped, roll_y, roll_x = rows.unsqueeze(-1).unbind(1)  # each (G, 1)
    places = torch.arange(image_size, device=rows.device)
    down, across = (places - roll_y) % image_size, (places - roll_x) % image_size
    across = torch.where(is_flipped > 0, image_size - 1 - across, across)
    vertical, horizontal = _weights(down, top, height, image_size), _weights(across, left, width, image_size)
    return vertical.to(dtype), horizontal.to(dtype)


def _weights(output: Tensor, begin: Tensor, length: Tensor, image_size: int) -> Tensor:
    """Return weights ``(G, S, S)`` for the resized pixel that each place shows, ``(G, S)``; zeros for one outside.

    In float64: in float32 a place at 200 px is known to 1e-5 only.
    """
    place = (output.double() + 0.5) * length / image_size - 0.5
    place = torch.minimum(place.clamp(min=0), length - 1)  # at a border its own pixel alone
    source = torch.arange(image_size, device=output.device) - begin  # (G, S), within the crop
    return (1 - (source[:, None, :] - place[:, :, None]).abs()).clamp(min=0)


def apply_matrices(images: Tensor, rows: Tensor) -> Tensor:
    """Return the images cropped, resized back bilinearly, flipped and rolled, each group by its own row.

    Args:
        images: ``(G * n, C, S, S)``, group after group; the gradient reaches the cropped pixels.
        rows: int64 ``(G, 7)`` on their device.
    """
    vertical, horizontal = crop_matrices(rows, images.shape[-1], images.dtype)
    groups = images.unflatten(0, (len(rows), -1))  # (G, n, C, S, S)
    return (vertical[:, None, None] @ groups @ horizontal[:, None, None].transpose(-2, -1)).flatten(0, 1)
