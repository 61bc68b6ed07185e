"""Networks by name: torchvision's, timm's, and ConvNet-3 to ConvNet-6, at the width and with the stem asked for.

torchvision is asked first when both libraries know a name. Weights are random: trained ones come from checkpoints.
The module loads torch only when a network is built, so that the app and the command line can list names.

Source: the networks of DELT Tables 1-3 and 5; the stem rule follows DELT recover/models.py (small at 32 and 64 px).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from delt_engine.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

_OFFERED = """
resnet18 resnet34 resnet50 resnet101 convnet-3 convnet-4 convnet-5 convnet-6 mobilenet_v2 mobilenet_v3_small
shufflenet_v2_x0_5 efficientnet_b0 densenet121 convnext_tiny deit_tiny_patch16_224 regnet_x_400mf regnet_y_8gf
mnasnet0_5 mnasnet1_3 vgg11_bn wide_resnet50_2 swin_t vit_b_16
"""
NETWORKS = tuple(_OFFERED.split())
"""The networks offered first; every other name of torchvision or timm works as well."""

SMALL_UP_TO = 64
"""Largest image side in pixels for which ``auto`` takes the small stem."""
_CONVNETS = {f"convnet-{depth}": depth for depth in (3, 4, 5, 6)}
_CONVNET_CHANNELS = 128
_WIDTH_MULT = ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")
_SCALED = ("resnet", "resnext", "wide_resnet", "vgg")
_NO_SMALL_STEM = ("alexnet", "googlenet", "inception", "maxvit", "squeezenet", "swin")
"""How names of torchvision's families begin that :mod:`delt_engine.models.stems` knows no small stem for."""
_SIZE_ERRORS = (AssertionError, RuntimeError, TypeError, ValueError, ZeroDivisionError)
"""What the libraries raise for an image size they cannot take: assertions and arithmetic, no kind of their own."""
_STEMS = ("auto", "small", "stock")


def network_names() -> tuple[str, ...]:
    """Return every name :func:`build_network` knows: ours, torchvision's, then timm's."""
    import timm

    ours = (*_CONVNETS, *_torchvision_names())
    return (*ours, *(name for name in timm.list_models() if name not in ours))


def resolve_stem(stem: str, image_size: int) -> str:
    """Return ``small`` or ``stock`` for a stem setting.

    Raises:
        ConfigError: not one of auto, small, stock.

    >>> resolve_stem("auto", 32), resolve_stem("auto", 224), resolve_stem("stock", 32)
    ('small', 'stock', 'stock')
    """
    if stem not in _STEMS:
        raise ConfigError(f"stem: {stem!r} given, but it must be one of {', '.join(_STEMS)}.")
    if stem == "auto":
        return "small" if image_size <= SMALL_UP_TO else "stock"
    return stem


def takes_width(name: str) -> bool:
    """Return whether a network comes in other widths than the published one.

    >>> takes_width("resnet18"), takes_width("vgg11_bn"), takes_width("densenet121")
    (True, True, False)
    """
    return name in _CONVNETS or name in _WIDTH_MULT or (name.startswith(_SCALED) and "." not in name)


def may_take_small_stem(name: str) -> bool:
    """Return whether a network may have a small stem; of timm's only building it tells."""
    return not name.startswith(_NO_SMALL_STEM)


def build_network(
    name: str, num_classes: int, *, width: float = 1.0, stem: str = "auto", image_size: int = 32
) -> nn.Module:
    """Build a network with random weights, in train mode on the CPU.

    Args:
        name: one of :data:`NETWORKS`, or any classification network of torchvision or timm.
        width: factor on the published channel counts; 1 is as published.
        stem: ``small``, ``stock`` or ``auto``. ``auto`` takes the small one up to 64 px where the family has one.

    Returns:
        A module from normalised images ``(N, 3, S, S)`` to logits ``(N, num_classes)``. Its weights are drawn from
        torch's default generator of the CPU.

    Raises:
        ConfigError: unknown name, or a width, stem or image size that this network cannot have.
    """
    from delt_engine.models.convnet import ConvNet
    from delt_engine.models.stems import make_small

    if num_classes < 2:
        raise ConfigError(f"num_classes: {num_classes} given, but a network needs at least 2.")
    resolve_stem(stem, image_size)
    if name in _CONVNETS:  # made for small images: both stems are the same
        channels = round(_CONVNET_CHANNELS * width)
        if channels < 1:
            raise ConfigError(f"width: {width} given, but it leaves {name} without channels.")
        return ConvNet(_CONVNETS[name], num_classes, image_size, channels)
    network = _build_published(name, num_classes, width, image_size)
    if stem_of(network, stem, image_size) == "small":
        make_small(network)
    elif stem == "small":
        raise ConfigError(f"stem: 'small' given, but {name} has no small stem; it must be auto or stock.")
    if not _takes(network, image_size):
        raise ConfigError(f"network: {name} given, but it cannot take images of {image_size} px.")
    return network


def stem_of(network: nn.Module, stem: str, image_size: int) -> str:
    """Return the stem, ``small`` or ``stock``, that ``network`` has when built with these settings."""
    from delt_engine.models.stems import has_small_stem

    return resolve_stem(stem, image_size) if has_small_stem(network) else "stock"


def _build_published(name: str, num_classes: int, width: float, image_size: int) -> nn.Module:
    """Build a network of torchvision or, failing that, of timm, which is not loaded before."""
    from torchvision.models import get_model

    from delt_engine.models.resnet import scaled_resnet
    from delt_engine.models.vgg import scaled_vgg

    settings: dict[str, Any] = {"num_classes": num_classes}
    is_torchvisions = name in _torchvision_names()
    if not is_torchvisions:
        import timm

        if name.partition(".")[0] not in timm.list_models():  # the part behind a dot names published weights
            near = difflib.get_close_matches(name, network_names(), n=3)
            hint = f"; near it are {', '.join(near)}" if near else ""
            raise ConfigError(
                f"network: {name!r} given, but it must be convnet-3 to convnet-6 or a name of torchvision or "
                f"timm{hint}."
            )
    if is_torchvisions and name.startswith(_SCALED) and width != 1.0:
        return (scaled_vgg if name.startswith("vgg") else scaled_resnet)(name, num_classes, width)
    if name in _WIDTH_MULT:
        settings["width_mult"] = width
    elif width != 1.0:
        raise ConfigError(
            f"width: {width} given, but {name} comes in width 1 only; other widths are for torchvision's resnet, "
            f"resnext, wide_resnet, vgg and mobilenet families and for convnet-3 to convnet-6."
        )
    try:
        if not is_torchvisions:
            known = timm.get_pretrained_cfg(name)
            settings |= {"img_size": image_size} if known and known.fixed_input_size else {}
            return timm.create_model(name, pretrained=False, **settings)
        if name in ("googlenet", "inception_v3"):
            settings |= {"aux_logits": False, "init_weights": True}
        if name.startswith("vit_"):
            settings["image_size"] = image_size
        if name.startswith("maxvit"):
            settings["input_size"] = (image_size, image_size)
        return get_model(name, weights=None, **settings)
    except _SIZE_ERRORS:
        raise ConfigError(f"network: {name} given, but it cannot take images of {image_size} px.") from None


def _takes(network: nn.Module, image_size: int) -> bool:
    """Return whether two images pass through ``network``; tried without memory first, then for real."""
    import torch
    from torch.func import functional_call

    for device in ("meta", "cpu"):
        try:
            state = {key: value.to(device, copy=True) for key, value in network.state_dict().items()}
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                functional_call(network, state, torch.zeros(2, 3, image_size, image_size, device=device))
        except _SIZE_ERRORS:
            continue
        return True
    return False


def _torchvision_names() -> tuple[str, ...]:
    import torchvision

    return tuple(torchvision.models.list_models(module=torchvision.models))
