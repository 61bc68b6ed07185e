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


def our_network(printed: str) -> str:
    """Return the name by which a network can be built.

    >>> our_network("convnet4"), our_network("resnet18")
    ('convnet-4', 'resnet18')
    """
    return NETWORK_NAMES.get(printed, printed)
