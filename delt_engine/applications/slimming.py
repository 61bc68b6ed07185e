"""Network slimming: channels ranked by their BatchNorm scale over the whole network, and the smallest cut out.

Channels are taken out of the layers, so that parameters and multiplications fall, not only set to zero. That works for
chains: each convolution has a BatchNorm and an activation that keeps zero at zero behind it, then the next convolution
or a linear layer (VGG with BatchNorm, ConvNet-D). Whether a network is one is tried out before it is trained.

Shapes: C channels of a layer, S side of an image in pixels.

Source: Liu et al., "Learning Efficient Convolutional Networks through Network Slimming" (2017), Sec. 3 and Eq. 1;
published code of Liu et al., "Rethinking the Value of Network Pruning" (VGG-11 with BatchNorm, 50 % of the channels);
its vggprune.py and that of the first paper's authors put the threshold at a share of all BatchNorm scales, which are
one a channel, so a percentage is one of channels. DELT Sec. 4.6 writes "50% weights" of slimming and says no more.
Differs: of equal scales the first go, so that exactly the asked share is cut, where published code keeps what is above
a threshold; a layer keeps a share of its channels, where published code may leave a layer nearly empty, through which
then nothing is learned any more (see :class:`delt_engine.config.pruning.PruneConfig`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from delt_engine.errors import ConfigError
from delt_engine.models.device import eval_mode


@dataclass(frozen=True, eq=False)
class Link:
    """One layer whose channels can be cut: the convolution, its BatchNorm, and who reads the channels."""

    name: str
    conv: nn.Conv2d
    norm: nn.BatchNorm2d
    reader: nn.Conv2d | nn.Linear


@dataclass(frozen=True)
class Size:
    """How large a network is: parameters, and multiply-accumulates of one image.

    Of the latter convolutions and linear layers count, biases and BatchNorm do not.
    """

    parameters: int
    macs: int


def chain(network: nn.Module) -> tuple[Link, ...]:
    """Return the layers of a network whose channels can be cut, from the image on.

    Raises:
        ConfigError: the network is no chain.
    """
    layers = [
        (name, layer)
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))
    ]
    links = list(_links(layers))
    norms = sum(isinstance(layer, nn.BatchNorm2d) for _, layer in layers)
    if not links or len(links) != norms or not all(map(_fits, links)):
        raise _no_chain(network)
    return tuple(links)


def _links(layers: Sequence[tuple[str, nn.Module]]) -> Iterator[Link]:
    for (name, conv), (_, norm), (_, reader) in zip(layers, layers[1:], layers[2:], strict=False):
        if (
            isinstance(conv, nn.Conv2d)
            and isinstance(norm, nn.BatchNorm2d)
            and isinstance(reader, nn.Conv2d | nn.Linear)
        ):
            yield Link(name, conv, norm, reader)


def _fits(link: Link) -> bool:
    """Return whether the reader reads the channels of this layer and no others."""
    channels, reader = link.norm.num_features, link.reader
    if isinstance(reader, nn.Linear):
        return reader.in_features % channels == 0
    return reader.in_channels == channels == link.conv.out_channels and link.conv.groups == reader.groups == 1


def _no_chain(network: nn.Module) -> ConfigError:
    return ConfigError(
        f"network: {type(network).__name__} given, but slimming needs a chain of convolutions with BatchNorm, such as "
        "vgg11_bn or convnet-3."
    )


def scale_norm(network: nn.Module) -> Tensor:
    """Return the L1 norm of all BatchNorm scales, float32 (); its gradient is the sign of each scale.

    Source: Liu et al. 2017, Eq. 1, with g(s) = |s|.
    """
    return torch.stack([link.norm.weight.float().abs().sum() for link in chain(network)]).sum()


def kept_channels(network: nn.Module, percent: float, least_percent: float = 0.0) -> tuple[Tensor, ...]:
    """Return which channels stay, bool (C,) a layer.

    Args:
        network: a chain.
        percent: share of all channels that goes, above 0 and below 100.
        least_percent: share of a layer's channels that stays whatever, the largest ones, but at least one.

    Raises:
        ConfigError: the network is no chain, or less can be cut than is asked for.
    """
    scales = [link.norm.weight.detach().float().abs().cpu() for link in chain(network)]
    ranked = [scale.clone() for scale in scales]
    for scale in ranked:  # out of reach
        scale[scale.topk(max(1, math.ceil(len(scale) * least_percent / 100))).indices] = math.inf
    joined = torch.cat(ranked)
    count = int(len(joined) * percent / 100)
    if count > int(joined.isfinite().sum()):
        raise ConfigError(
            f"percent: {percent:g} given, but with {least_percent:g} % of each layer staying at most "
            f"{100.0 * int(joined.isfinite().sum()) / len(joined):.1f} % of the channels can be cut."
        )
    kept = torch.ones(len(joined), dtype=torch.bool)
    kept[joined.argsort(stable=True)[:count]] = False
    return kept.split([len(each) for each in scales])


def slim(network: nn.Module, kept: Sequence[Tensor]) -> nn.Module:
    """Return a copy of a network without the channels that do not stay.

    Args:
        network: a chain; it is not changed.
        kept: bool (C,) a layer, as :func:`kept_channels` returns it; at least one channel a layer.

    Raises:
        ConfigError: the network is no chain.
    """
    slimmed = copy.deepcopy(network)
    for link, mask in zip(chain(slimmed), kept, strict=True):
        rows, channels = mask.nonzero().flatten().to(link.norm.weight.device), link.norm.num_features
        _take(link.conv, rows)
        link.conv.out_channels = len(rows)
        _take(link.norm, rows)
        link.norm.num_features = len(rows)
        if isinstance(link.reader, nn.Linear):  # (K, C * places): places of one channel side by side
            places = torch.arange(link.reader.in_features // channels, device=rows.device)
            columns = (rows[:, None] * len(places) + places).flatten()
            link.reader.in_features = len(columns)
        else:
            columns = rows
            link.reader.in_channels = len(columns)
        link.reader.weight = nn.Parameter(link.reader.weight.detach()[:, columns].clone())
    return slimmed


def _take(layer: nn.Conv2d | nn.BatchNorm2d, rows: Tensor) -> None:
    """Keep some outputs of a layer in all its tensors, the running statistics included."""
    for name, weight in list(layer.named_parameters(recurse=False)):
        setattr(layer, name, nn.Parameter(weight.detach()[rows].clone()))
    for name, statistic in list(layer.named_buffers(recurse=False)):
        if statistic.ndim:
            setattr(layer, name, statistic[rows].clone())


def check_chain(network: nn.Module, image_size: int) -> None:
    """Try out whether cutting channels is the same as setting them to zero; the network stays as it is.

    Raises:
        ConfigError: it is not, so the network is no chain.
    """
    tried = copy.deepcopy(network).cpu()
    kept = kept_channels(tried, 50.0)
    images = torch.randn(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    slimmed = slim(tried, kept)
    for link, mask in zip(chain(tried), kept, strict=True):
        with torch.no_grad():
            link.norm.weight[~mask] = 0.0
            link.norm.bias[~mask] = 0.0
    try:
        with eval_mode(tried), eval_mode(slimmed), torch.inference_mode():
            is_same = torch.allclose(tried(images), slimmed(images), rtol=1e-3, atol=1e-3)
    except RuntimeError:  # shapes that do not fit any more
        is_same = False
    if not is_same:
        raise _no_chain(network)


def size_of_network(network: nn.Module, image_size: int) -> Size:
    """Return parameters and multiply-accumulates of a network for one image of a side in pixels."""
    macs: list[int] = []

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        places = output[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
        macs.append(weight.numel() * places)

    hooks = [
        layer.register_forward_hook(count) for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    try:
        with eval_mode(network), torch.inference_mode():
            network(next(network.parameters()).new_zeros(1, 3, image_size, image_size))
    finally:
        for hook in hooks:
            hook.remove()
    return Size(sum(each.numel() for each in network.parameters()), sum(macs))
