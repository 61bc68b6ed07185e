import pytest
import timm
import torch
from torch import nn
from torchvision.models import get_model

from delt_engine.models.stems import has_small_stem, make_small


def down_sampling(network: nn.Module, features: str) -> int:
    """Return the factor by which a 32 px image shrinks up to the named part."""
    sizes = []
    handle = network.get_submodule(features).register_forward_hook(lambda m, i, out: sizes.append(out.shape[-1]))
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, 32, 32))
    handle.remove()
    return 32 // sizes[0]


@pytest.mark.parametrize(
    ("name", "features", "stock", "small"),
    [
        ("resnet18", "layer4", 32, 8),
        ("shufflenet_v2_x0_5", "conv5", 32, 8),
        ("densenet121", "features", 32, 8),
        ("mobilenet_v3_small", "features", 32, 8),
        ("efficientnet_b0", "features", 32, 8),
        ("mnasnet0_5", "layers", 32, 8),
        ("regnet_x_400mf", "trunk_output", 32, 16),
    ],
)
def test_torchvision_families_shrink_less(name, features, stock, small):
    network = get_model(name, weights=None, num_classes=4)
    assert down_sampling(network, features) == stock
    make_small(network)
    assert down_sampling(network, features) == small
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 4)


def published_mobilenet(classes: int) -> nn.Module:
    """DELT's MobileNet-V2 for CIFAR-10 and Tiny-ImageNet, written plainly: 1x1 stem with a border, three strides."""

    def block(inside: int, outside: int, stride: int, times: int) -> nn.Module:
        wide = inside * times
        made = nn.Sequential(
            *(nn.Conv2d(inside, wide, 1), nn.BatchNorm2d(wide), nn.ReLU6()),
            *(nn.Conv2d(wide, wide, 3, stride=stride, padding=1, groups=wide), nn.BatchNorm2d(wide), nn.ReLU6()),
            *(nn.Conv2d(wide, outside, 1), nn.BatchNorm2d(outside)),
        )
        made.is_added = stride == 1 and inside == outside
        return made

    parts: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, 32, 1, padding=1), nn.BatchNorm2d(32), nn.ReLU6())]
    before = 32
    table = [(1, 16, 1, 1), (2, 24, 2, 6), (3, 32, 2, 6), (4, 64, 2, 6), (3, 96, 1, 6), (3, 160, 1, 6), (1, 320, 1, 6)]
    for repeats, outside, stride, times in table:
        for number in range(repeats):
            parts.append(block(before, outside, stride if number == 0 else 1, times))
            before = outside
    parts.append(nn.Sequential(nn.Conv2d(320, 1280, 1), nn.BatchNorm2d(1280), nn.ReLU6()))
    return nn.ModuleList([*parts, nn.Conv2d(1280, classes, 1)])


def test_the_small_mobilenet_is_the_published_one():
    torch.manual_seed(0)
    theirs, ours = published_mobilenet(4).eval(), get_model("mobilenet_v2", weights=None, num_classes=4).eval()
    make_small(ours)
    own, other = ([m for m in net.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)] for net in (ours, theirs))
    assert len(own) == len(other) - 1  # their last layer is a convolution
    for mine, given in zip(own, other, strict=False):
        state = {name: value for name, value in mine.state_dict().items() if name != "bias" or mine.affine}
        given.load_state_dict(state, strict=False)
        if isinstance(mine, nn.Conv2d):
            given.bias.data.zero_()  # BatchNorm takes it off in training
    other[-1].weight.data.copy_(ours.classifier[1].weight[:, :, None, None])
    other[-1].bias.data.copy_(ours.classifier[1].bias)
    images = torch.randn(2, 3, 32, 32)
    found = images
    sizes = []
    for part in theirs[:-1]:
        after = part(found)
        found = found + after if getattr(part, "is_added", False) else after
        sizes.append(found.shape[-1])
    assert sorted(set(sizes), reverse=True) == [34, 17, 9, 5]
    logits = theirs[-1](found.mean((2, 3), keepdim=True)).flatten(1)
    torch.testing.assert_close(ours(images), logits)
    bound = (3 * 1) ** -0.5  # torch's own start of a convolution: uniform within 1 / sqrt(inputs)
    assert 0.9 * bound < ours.features[0][0].weight.abs().max() <= bound
    assert not [m for m in ours.modules() if isinstance(m, nn.Dropout)]


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "efficientnet_lite0", "regnetx_002"])
def test_timm_families_shrink_less(name):
    network = timm.create_model(name, num_classes=4).eval()
    before = network.forward_features(torch.zeros(1, 3, 64, 64)).shape[-1]
    make_small(network)
    assert network.forward_features(torch.zeros(1, 3, 64, 64)).shape[-1] in (2 * before, 4 * before)


def test_other_networks_have_none():
    assert not has_small_stem(nn.Sequential(nn.Conv2d(3, 4, 3)))
    assert not has_small_stem(get_model("squeezenet1_1", weights=None))


@pytest.mark.parametrize(
    ("name", "size", "tokens"),
    [("deit_tiny_patch16_224", 32, 65), ("deit_tiny_patch16_224", 64, 65), ("deit_tiny_distilled_patch16_224", 32, 66)],
)
def test_transformers_of_timm_see_64_patches(name, size, tokens):
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=4, img_size=size)
        make_small(network)
        assert network.pos_embed.shape == (1, tokens, 192)
        assert network.patch_embed.proj.stride == (size // 8, size // 8)
        assert network(torch.zeros(2, 3, size, size)).shape == (2, 4)


def test_a_new_patch_layer_is_drawn_like_any_other():
    network = timm.create_model("deit_tiny_patch16_224", num_classes=4, img_size=32, depth=1)
    make_small(network)
    bound = (3 * 4 * 4) ** -0.5  # torch's own start of a convolution: uniform within 1 / sqrt(inputs)
    weight = network.patch_embed.proj.weight
    assert 0.95 * bound < weight.abs().max() <= bound
    assert network.pos_embed.std().item() == pytest.approx(0.02, rel=0.1)


def test_transformers_of_torchvision_see_64_patches():
    with torch.device("meta"):
        network = get_model("vit_b_16", weights=None, num_classes=4, image_size=32)
        make_small(network)
        assert network.encoder.pos_embedding.shape == (1, 65, 768)
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize("build", [lambda: get_model("convnext_tiny"), lambda: timm.create_model("convnext_tiny")])
def test_convnext_shrinks_half_as_much(build):
    with torch.device("meta"):
        network = build()
        make_small(network)
    strides = [max(part.stride) for part in network.modules() if isinstance(part, nn.Conv2d) and max(part.stride) > 1]
    assert strides == [2, 2, 2, 2]  # 16 in all, 32 as published
