"""Several ranks that train one network together: who takes which images, and what is added up between them.

Every rank draws all that is random for the whole batch and takes its rows of it. Its mean loss is weighted by its
share of the images, and torch's DistributedDataParallel brings the gradients together, so that each rank has that of
the batch's mean loss: batch size and learning rate mean what they mean for one rank, and N ranks compute what one
computes, up to the order of sums.

Two things are not the same. BatchNorm: on CUDA its statistics are those of the whole batch (SyncBatchNorm), which torch
has for no other device; elsewhere each rank normalises its own rows, and the running statistics are averaged after
every epoch. They are linear in what each step adds, so that averaging in every step would give no others. Dropout: each
rank draws its own.

Shapes: B images in a batch.

Source: Goyal et al., "Accurate, Large Minibatch SGD" Sec. 3 (the loss of a worker is divided by the size of the whole
batch).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from delt_engine.errors import RanksLost

_T = TypeVar("_T")


@dataclass(frozen=True)
class Team:
    """This rank among those that train one network; they talk through torch's default process group.

    Args:
        number: of this rank, from 0.
        size: how many ranks there are; with one, nothing is sent and nothing is changed.
    """

    number: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that tests and writes."""
        return self.number == 0

    def rows(self, count: int) -> slice:
        """Return which images of a batch this rank takes: as many as the others, or one more or less.

        A batch of fewer than two images a rank is not divided, since BatchNorm needs two: every rank takes it whole.

        >>> [Team(number, 3).rows(10) for number in range(3)]
        [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
        >>> Team(2, 3).rows(5)
        slice(0, 5, None)
        """
        if not self._is_divided(count):
            return slice(0, count)
        return slice(count * self.number // self.size, count * (self.number + 1) // self.size)

    def weight(self, count: int) -> float:
        """Return what the mean over this rank's rows counts in the mean over a batch; over the ranks it adds up to 1.

        >>> [Team(number, 3).weight(10) for number in range(3)], Team(2, 4).weight(7)
        ([0.3, 0.3, 0.4], 0.25)
        """
        rows = self.rows(count)
        return (rows.stop - rows.start) / count if self._is_divided(count) else 1 / self.size

    def counted(self, number: Tensor, count: int) -> Tensor:
        """Return what this rank, with ``number`` among its rows, adds to a count over a batch of ``count`` images."""
        return number if self._is_divided(count) else number / self.size

    def weighted(self, mean: Tensor, count: int) -> Tensor:
        """Return what this rank, with this mean over its rows, adds to the mean over a batch of ``count`` images."""
        return mean if self.size == 1 else mean * self.weight(count)

    def synchronised(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Return a network, not yet in an optimiser, whose BatchNorm sees the whole batch where the device can."""
        if self.size == 1 or device.type != "cuda":
            return network
        from timm.layers import convert_sync_batchnorm  # torch's own loses the activation in layers of timm

        return convert_sync_batchnorm(network)

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return what is called in the place of a network, so that its gradients are the batch's in every rank.

        The network is on its device, with the same weights in every rank; they stay those of the optimiser.
        """
        if self.size == 1:
            return network
        return DistributedDataParallel(network, broadcast_buffers=False)  # statistics are averaged after the epoch

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of what :meth:`weighted` returned for each rank.

        Raises:
            RanksLost: another rank is gone.
        """
        if self.size == 1:
            loss.backward()
            return
        with self._talking():
            (loss * self.size).backward()  # DistributedDataParallel takes the mean

    def average_statistics(self, *networks: nn.Module) -> None:
        """Put the mean over the ranks in the place of each running statistic, so that all ranks keep the same ones.

        Raises:
            RanksLost: another rank is gone.
        """
        if self.size == 1:
            return
        for network in networks:
            for buffer in network.buffers():
                if buffer.is_floating_point():
                    with self._talking():
                        dist.all_reduce(buffer)
                    buffer.div_(self.size)

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over the ranks; what was given stays as it is.

        Raises:
            RanksLost: another rank is gone.
        """
        if self.size == 1:
            return values
        summed = values.clone()
        with self._talking():
            dist.all_reduce(summed)
        return summed

    def first(self, make: Callable[[], _T]) -> _T:
        """Return in every rank what the first one makes; the others wait for it.

        Args:
            make: called in the first rank alone; what it returns can be pickled, its tensors are on the CPU.

        Raises:
            RanksLost: another rank is gone.
        """
        if self.size == 1:
            return make()
        made: list[Any] = [make() if self.is_first else None]
        with self._talking():
            dist.broadcast_object_list(made, src=0, device=torch.device("cpu"))
        return made[0]

    def highest(self, *values: int) -> tuple[int, ...]:
        """Return the highest of each value over the ranks; it goes past the device and waits for none of its work.

        Raises:
            RanksLost: another rank is gone.
        """
        if self.size == 1:
            return values
        found = torch.tensor(values)
        with self._talking():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return tuple(found.tolist())

    def _is_divided(self, count: int) -> bool:
        return self.size == 1 or count >= 2 * self.size

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # what torch raises of any broken connection
            raise RanksLost(
                f"rank {self.number}: one of the {self.size} ranks that train together is gone; `delt resume` goes on."
            ) from error


ALONE = Team()
"""One rank, which is all there is."""
