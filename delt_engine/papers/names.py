"""What the papers call networks, and what torchvision, timm and we call them.

Source: the names in assets/published/results.csv; where a name is generic as printed, the parameter count of CDA
Table 20 says which network it is.
"""

from __future__ import annotations

from types import MappingProxyType

NETWORK_NAMES = MappingProxyType(
    {
        "convnet3": "convnet-3",
        "convnet4": "convnet-4",
        "convnet5": "convnet-5",
        "convnet6": "convnet-6",
        "deit_base": "deit_base_patch16_224",
        "deit_tiny": "deit_tiny_patch16_224",
        "resmlp": "resmlp_24_224",
        "squeezenet": "squeezenet1_1",
    }
)
"""Printed names that are not ours. CDA Table 20: 30.0 M parameters are ResMLP-24; 1.2 M both versions of SqueezeNet."""

OUTSIDE = "mobilenet_v2"
"""The network that CDA asks about finished images. Source: CDA Sec. 3.7."""

MILLION_PARAMETERS = MappingProxyType(
    {
        "squeezenet1_1": 1.235,
        "mobilenet_v2": 3.505,
        "efficientnet_b0": 5.289,
        "mnasnet1_3": 6.282,
        "shufflenet_v2_x2_0": 7.394,
        "resmlp_24_224": 30.021,
        "alexnet": 61.101,
        "deit_base_patch16_224": 86.568,
        "vgg11": 132.863,
        "vgg13": 133.048,
        "vgg16": 138.358,
        "vgg19": 143.667,
    }
)
"""Parameters at 1,000 classes, counted here in millions; a test counts them again."""


NETWORK_TITLES = MappingProxyType(
    {
        "alexnet": "AlexNet",
        "convnext_tiny": "ConvNeXt-Tiny",
        "deit_base": "DeiT-Base",
        "deit_tiny": "DeiT-Tiny",
        "densenet121": "DenseNet-121",
        "efficientnet_b0": "EfficientNet-B0",
        "mnasnet1_3": "MnasNet-1.3",
        "mobilenet_v2": "MobileNet-V2",
        "regnet_y_8gf": "RegNet-Y-8GF",
        "resmlp": "ResMLP-24",
        "shufflenet_v2_x2_0": "ShuffleNet-V2 x2",
        "squeezenet": "SqueezeNet",
        "vgg11_bn": "VGG11-BN",
    }
)
"""What printed networks are called for people, where :func:`network_title` does not see it by itself."""


def network_title(printed: str) -> str:
    """Return what a network is called for people.

    >>> [network_title(name) for name in ("resnet18", "convnet4", "vgg11", "mobilenet_v2")]
    ['ResNet-18', 'Conv-4', 'VGG11', 'MobileNet-V2']
    """
    for family, title in (("resnet", "ResNet-"), ("convnet", "Conv-"), ("vgg", "VGG")):
        if (number := printed.removeprefix(family)).isdigit():
            return f"{title}{number}"
    return NETWORK_TITLES.get(printed, printed)


def our_network(printed: str) -> str:
    """Return the name by which a network can be built.

    >>> our_network("convnet4"), our_network("resnet18")
    ('convnet-4', 'resnet18')
    """
    return NETWORK_NAMES.get(printed, printed)


GIGA_OPERATIONS = MappingProxyType(
    {
        "resnet18": 1.8,
        "resnet34": 3.7,
        "resnet50": 4.1,
        "resnet101": 7.8,
        "densenet121": 2.8,
        "regnet_y_8gf": 8.5,
        "convnext_tiny": 4.5,
        "deit_tiny_patch16_224": 1.3,
        "deit_base_patch16_224": 17.6,
        "resmlp_24_224": 6.0,
        "mobilenet_v2": 0.3,
        "efficientnet_b0": 0.4,
        "mnasnet1_3": 0.5,
        "shufflenet_v2_x2_0": 0.6,
        "squeezenet1_1": 0.35,
        "alexnet": 0.7,
        "vgg11": 7.6,
        "vgg13": 11.3,
        "vgg16": 15.5,
        "vgg19": 19.6,
        "convnet-3": 1.0,
        "convnet-4": 1.2,
        "convnet-5": 1.3,
        "convnet-6": 1.4,
    }
)
"""Multiply-adds of one image at 224 px in billions, for prices before anything was measured.

Source: the model pages of torchvision and timm; of the ConvNets ours, against a ResNet-18 on the same images.
"""
