"""Random numbers that depend on what they are for, and on nothing that was drawn before.

Every stage draws from a generator keyed by seed, stage and place (batch, class, epoch), so the order of batches,
packing, resume and the number of processes change no image.

Source: ours; published recovery is unseeded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from numbers import Integral

import torch


def generator(seed: int, stage: str, *keys: int | str) -> torch.Generator:
    """Return a CPU generator that is the same for the same seed, stage and keys, in every process and version.

    Args:
        seed: the experiment's seed.
        stage: what the numbers are for, such as ``"crops"``.
        keys: which one of them: batch index, class index, ...

    Returns:
        A fresh generator. Torch's CPU generator keeps 32 bits of its seed, so among 65,000 keys two are likely to
        share a stream; they belong to different images of one run, which does no harm.

    >>> generator(0, "crops", 3).initial_seed() == generator(0, "crops", 3).initial_seed()
    True
    >>> generator(0, "crops", 3).initial_seed() == generator(0, "crops", 4).initial_seed()
    False
    """
    plain = [int(key) if isinstance(key, Integral) else key for key in (seed, stage, *keys)]
    digest = hashlib.blake2b(json.dumps(plain).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators that layers draw from without being asked (weights, dropout), and put them back."""
    own = torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else None
    states = [(each, each.get_state()) for each in (torch.default_generator, own) if each is not None]
    try:
        for each, _ in states:
            each.manual_seed(seed)
        yield
    finally:
        for each, state in states:
            each.set_state(state)
