"""One iteration stage by stage, drawn in the browser: crop, forward, the two loss terms, gradient, update, clip."""

from __future__ import annotations

from typing import Any

from delt_engine.lab.material import STAGES, StagesRecord
from pages.shared.component import component, versioned
from pages.shared.wording import count

_component = component("lab_steps", style="lab")


def lab_steps(
    records: tuple[StagesRecord, ...], total: int, class_name: str, sheet: str, tile: int, *, key: str
) -> None:
    """Draw iterations stage by stage, of a run of ``total``; ``sheet`` has their pictures, one row each."""
    iterations = [
        {"label": f"{count(record.iteration + 1)} of {count(total)}", "stages": stages(record, class_name)}
        for record in records
    ]
    _component(key=key, data=versioned({"iterations": iterations, "sheet": sheet, "tile": tile, "shown": 176}))


def stages(record: StagesRecord, class_name: str) -> list[dict[str, Any]]:
    """Return an iteration's stages: title and text, pictures (tiles of the sheet), bars, and the recorded numbers.

    A bar is a name, its share, and whether it is the true class; a picture's box is a crop (top, left, height, width).
    """
    flip = ", mirrored" if record.is_flipped else ""
    weighted = record.bn_weight * record.bn_loss
    bn = f"{record.bn_weight:g} x {record.bn_loss:.1f}"
    scales = {name: f"± {scale:.2g}" for name, scale in record.scales.items()}

    def picture(name: str, caption: str, box: tuple[int, int, int, int] | None = None) -> dict[str, Any]:
        place = {"column": STAGES.index(name), "row": record.row, "box": box}
        return place | {"alt": f"{class_name}: {caption}", "caption": caption}

    def stage(title: str, text: str, *pictures: dict[str, Any], bars: Any = (), facts: Any = ()) -> dict[str, Any]:
        return {"title": title, "text": text, "pictures": pictures, "bars": bars, "facts": facts}

    return [
        stage(
            "Crop",
            "A random part of the image is cut out and resized. All images of the batch get the same crop. Early in "
            "the run it is nearly the whole image, later it can be small.",
            picture("before", "Image and crop", record.crop),
            picture("crop", f"What the teacher sees{flip}"),
            facts=(
                ("Crop", f"{record.crop[2]} x {record.crop[3]} pixels{flip}"),
                ("Smallest crop allowed now", f"{100 * record.crop_min:.0f} % of the area"),
            ),
        ),
        stage(
            "Forward",
            "The frozen teacher looks at the crop and says what it sees.",
            picture("crop", "Crop"),
            bars=tuple((name, share, name == class_name) for name, share in record.top),
            facts=((f"Probability of {class_name}", f"{100 * record.true_class_prob:.1f} %"),),
        ),
        stage(
            "Two loss terms",
            f"Cross-entropy asks: does the teacher see {class_name}? The BatchNorm term asks: do the features of the "
            "batch have the mean and variance of real data? Both are for the whole batch of "
            f"{record.joined} images that have joined. Each pulls at the pixels in its own way.",
            picture("ce_gradient", "Gradient of cross-entropy"),
            picture("bn_gradient", "Gradient of BatchNorm"),
            facts=(
                ("Cross-entropy, this image", f"{record.ce_image:.3f}"),
                ("Cross-entropy, batch", f"{record.ce_loss:.3f}"),
                ("BatchNorm term", f"{bn} = {weighted:.3f} ({record.bn_layers} layers)"),
                ("Loss", f"{record.ce_loss + weighted:.3f}"),
                ("Full colour stands for", f"{scales['ce_gradient']} and {scales['bn_gradient']}"),
            ),
        ),
        stage(
            "Gradient",
            "How the loss would change if a pixel changed, for each colour. Grey is zero; brighter and darker are up "
            "and down on the same scale. Outside the crop there is none.",
            picture("gradient", "Gradient of the loss"),
            facts=(("Full colour stands for", scales["gradient"]),),
        ),
        stage(
            "Adam's update",
            "Adam averages the gradient over the last iterations and divides by its usual size, so every pixel moves "
            "about as far as the learning rate says.",
            picture("update", "Step to be added"),
            facts=(
                ("Learning rate", f"{record.learning_rate:.4f}"),
                ("Full colour stands for", scales["update"]),
                ("Mean step taken", f"{record.mean_update:.2f} of 255 levels"),
            ),
        ),
        stage(
            "Clip",
            "Values that left the range of real pixels are set back to black or white. What remains is the image of "
            "the next iteration.",
            picture("before", "Before"),
            picture("clipped", "Clipped pixels, white"),
            picture("after", "After"),
            facts=(("Clipped", f"{record.clipped_percent:.1f} % of the values"),),
        ),
    ]
