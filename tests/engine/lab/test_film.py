import io

import numpy as np
import pytest
from PIL import Image

from delt_engine.errors import ConfigError, ShapeError
from delt_engine.lab.filmstrip import FilmLane, animation, film_strip, spread

MOMENTS = (0, 2, 5, 10)
COLOURS = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0]], np.uint8)


def lane(title: str = "Round 1") -> FilmLane:
    """Four plain 8x8 images, one colour a moment."""
    frames = np.broadcast_to(COLOURS[:, None, None], (4, 8, 8, 3)).copy()
    return FilmLane(title, frames, tuple(f"{moment} of 10" for moment in MOMENTS))


def test_a_strip_shows_every_chosen_moment_without_blur() -> None:
    picture = Image.open(io.BytesIO(film_strip([lane(), lane("Round 2")], MOMENTS, columns=4, heading="cat")))
    assert picture.format == "PNG"
    colours = dict((colour, count) for count, colour in picture.getcolors(1 << 24))
    for colour in COLOURS:  # two lanes of 128 x 128 pixels each, nothing in between
        assert colours[tuple(int(v) for v in colour)] == 2 * 128 * 128


@pytest.mark.parametrize(("kind", "name"), [("gif", "GIF"), ("webp", "WEBP")])
def test_an_animation_has_a_frame_a_moment_and_rests_on_the_last(kind, name) -> None:
    picture = Image.open(io.BytesIO(animation([lane(), lane("Round 2")], MOMENTS, kind, frame_ms=100)))
    assert (picture.format, picture.n_frames) == (name, 4)
    durations = []
    for number in range(4):
        picture.seek(number)
        picture.load()
        durations.append(picture.info["duration"])
        colours = dict((colour, count) for count, colour in picture.convert("RGB").getcolors(1 << 24))
        near = [count for c, count in colours.items() if np.abs(np.array(c) - COLOURS[number].astype(int)).max() <= 4]
        assert sum(near) == 2 * 128 * 128
    assert durations[0] == 100
    assert durations[-1] > 1000


def test_moments_are_spread_over_the_iterations_with_both_ends() -> None:
    assert spread([0, 1, 2, 3, 4, 100], 3) == [0, 4, 5]
    assert spread(range(41), 9) == list(range(0, 41, 5))


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ConfigError, match="gif, webp"):
        animation([lane()], MOMENTS, "mp4")
    with pytest.raises(ShapeError, match="3 images"):
        film_strip([lane()], MOMENTS[:3])
