import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from delt_engine.data.decode import Trait, UnreadableImage, decode, read_rgb, resize_box, square_box


def save(path: Path, picture: Image.Image, **options) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("mode", "colour", "name", "traits", "rgb"),
    [
        ("L", 77, "a.png", Trait.GREY, (77, 77, 77)),
        ("1", 1, "a.png", Trait.GREY, (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), "a.tif", Trait.CMYK, (255, 0, 0)),
        ("RGBA", (10, 20, 30, 255), "a.png", Trait.ALPHA, (10, 20, 30)),
        ("RGBA", (0, 0, 0, 0), "a.png", Trait.ALPHA, (255, 255, 255)),
        ("RGBA", (0, 0, 0, 128), "a.png", Trait.ALPHA, (127, 127, 127)),
        ("LA", (0, 0), "a.png", Trait.GREY | Trait.ALPHA, (255, 255, 255)),
        ("P", 0, "a.png", Trait.PALETTE, (0, 0, 0)),
        ("RGB", (200, 10, 20), "a.png", Trait(0), (200, 10, 20)),
        ("YCbCr", (255, 128, 128), "a.jpg", Trait(0), (255, 255, 255)),
    ],
)
def test_every_mode_becomes_what_a_person_sees(
    tmp_path: Path, mode: str, colour: object, name: str, traits: Trait, rgb: tuple[int, ...]
) -> None:
    decoded = decode(save(tmp_path / name, Image.new(mode, (3, 2), colour)))
    assert decoded.picture.mode == "RGB"
    assert decoded.picture.getpixel((1, 1)) == rgb
    assert decoded.traits == traits


def test_sixteen_bit_grey_keeps_its_levels(tmp_path: Path) -> None:
    levels = np.array([[0, 128 * 257, 65535]], dtype=np.uint16)
    for name in ("a.png", "a.tif"):
        decoded = decode(save(tmp_path / name, Image.fromarray(levels)))
        assert np.asarray(decoded.picture)[0, :, 0].tolist() == [0, 128, 255]
        assert Trait.GREY16 in decoded.traits


def test_a_transparent_entry_of_a_palette_is_white(tmp_path: Path) -> None:
    clear = decode(save(tmp_path / "b.png", Image.new("P", (2, 1)), transparency=0))
    assert clear.traits == Trait.PALETTE | Trait.ALPHA
    assert clear.picture.getpixel((1, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("values", "kind", "levels"),
    [
        ([0, 0.5, 1], np.float32, [0, 128, 255]),
        ([0, 60, 255], np.int32, [0, 60, 255]),
        ([-5, 9, 254], np.float32, [0, 9, 254]),
    ],
)
def test_float_and_wide_grey_by_range(tmp_path: Path, values: list[float], kind: type, levels: list[int]) -> None:
    path = save(tmp_path / "a.tif", Image.fromarray(np.array([values], dtype=kind)))
    assert read_rgb(path)[0, :, 1].tolist() == levels


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    picture = Image.new("RGB", (4, 2), (0, 0, 0))
    picture.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(save(tmp_path / "a.png", picture, exif=exif))
    corner = {2: (0, 3), 3: (1, 3), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (3, 1), 8: (3, 0)}[orientation]
    pixels = np.asarray(decoded.picture)[..., 0]
    assert tuple(int(place) for place in np.argwhere(pixels == 255)[0]) == corner
    assert (decoded.height, decoded.width) == pixels.shape == ((4, 2) if orientation >= 5 else (2, 4))
    assert decoded.traits == Trait.EXIF_ROTATED


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_passed_over(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.new("RGB", (4, 2)), exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")
    assert decode(path).traits == Trait(0)


def test_large_jpeg_is_decoded_small_but_keeps_its_native_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a.jpg", Image.new("RGB", (800, 400), (90, 120, 30)), exif=exif)
    decoded = decode(path, enough=8)
    assert (decoded.height, decoded.width) == (800, 400)
    assert decoded.picture.size == (50, 100)
    assert decode(path).picture.size == (400, 800)


def png(width: int, height: int) -> bytes:
    """Return a PNG header that promises a size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def truncated(kind: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"only some words", "not an image that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image that can be read"),
        (truncated("JPEG"), "truncated"),
        (truncated("PNG"), "truncated"),
        (png(100_000, 100_000), "more than 170 megapixels"),
    ],
)
def test_what_cannot_be_used_has_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=reason):
        decode(path)
    with pytest.raises(UnreadableImage, match="No such file"):
        decode(tmp_path / "none.png")


def test_only_the_first_frame_of_an_animation_is_used(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    decoded = decode(save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:]))
    assert Trait.ANIMATED in decoded.traits
    assert decoded.picture.getpixel((0, 0)) == (255, 0, 0)


def test_a_square_box_is_centred_and_one_pixel_becomes_a_flat_square() -> None:
    assert [square_box(4, 4), square_box(10, 4), square_box(5, 8)] == [(0, 0, 4, 4), (3, 0, 4, 4), (0, 1.5, 5, 5)]
    dot = np.array([[[1, 2, 3]]], dtype=np.uint8)
    assert resize_box(dot, square_box(1, 1), 4).tolist() == np.broadcast_to(dot, (4, 4, 3)).tolist()


def test_shrinking_averages_and_arrays_and_pictures_agree() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    small = resize_box(stripes, (0, 0, 64, 64), 8)
    assert small.shape == (8, 8, 3)
    assert np.abs(small.astype(int) - 127).max() <= 5  # without antialiasing it would be all 0 or 255
    np.testing.assert_array_equal(small, resize_box(Image.fromarray(stripes), (0, 0, 64, 64), 8))
