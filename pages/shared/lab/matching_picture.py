"""The picture of both ways of matching, as SVG in the colours of the page's text.

Source: DELT Fig. 3, drawn anew.
"""

from __future__ import annotations


def _box(x: int, y: int, text: str, *, dashed: bool = False, width: int = 118) -> str:
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="36" rx="7" fill="none" stroke="currentColor"{dash}/>'
        f'<text x="{x + width // 2}" y="{y + 23}" text-anchor="middle">{text}</text>'
    )


def _arrow(x1: int, y1: int, x2: int, y2: int, text: str = "") -> str:
    """Return a line with a head, both of plain strokes, and words above its middle."""
    side = 6 if x2 > x1 else -6
    head = f"M{x2 - side} {y2 - 5}L{x2} {y2}L{x2 - side} {y2 + 5}"
    words = f'<text x="{(x1 + x2) // 2}" y="{min(y1, y2) - 7}" text-anchor="middle" font-size="11">{text}</text>'
    return f'<path d="M{x1} {y1}L{x2} {y2}{head}" fill="none" stroke="currentColor"/>' + (words if text else "")


def _panel(title: str, parts: str, alt: str) -> str:
    return (
        f'<svg viewBox="0 0 450 150" role="img" aria-label="{alt}" font-size="12" fill="currentColor" '
        'style="width:100%;max-width:540px;flex:1 1 340px">'
        f'<text x="4" y="14" font-weight="600">{title}</text>{parts}</svg>'
    )


_TO_BATCH = _panel(
    "Batch to batch, in every iteration",
    _box(4, 30, "real batch")
    + _box(4, 100, "synthetic batch")
    + _box(170, 65, "random network", width=124)
    + _arrow(122, 48, 170, 76)
    + _arrow(122, 118, 170, 90)
    + _box(340, 30, "of real", width=96)
    + _box(340, 100, "of synthetic", width=96)
    + _arrow(294, 76, 340, 48)
    + _arrow(294, 90, 340, 118)
    + '<path d="M388 66V100" stroke="currentColor" stroke-width="2.5" stroke-dasharray="3 3"/>'
    + '<text x="396" y="87" font-size="11">match</text>',
    "A real batch and a synthetic batch go through a random network; features or gradients of both are matched.",
)
_TO_GLOBAL = _panel(
    "Batch to global: real images once, before",
    _box(4, 30, "all real images", dashed=True)
    + _box(4, 100, "synthetic batch")
    + _box(170, 65, "frozen teacher", width=124)
    + _arrow(122, 48, 170, 76, "")
    + '<text x="150" y="46" font-size="11">trained once</text>'
    + _arrow(122, 118, 170, 90)
    + _box(340, 30, "its statistics", width=96)
    + _box(340, 100, "of synthetic", width=96)
    + _arrow(294, 76, 340, 48)
    + _arrow(294, 90, 340, 118)
    + '<path d="M388 66V100" stroke="currentColor" stroke-width="2.5" stroke-dasharray="3 3"/>'
    + '<text x="396" y="87" font-size="11">match</text>',
    "A teacher was trained once on all real images; a synthetic batch is matched with the statistics it remembers.",
)
PICTURE = f'<div style="display:flex;flex-wrap:wrap;gap:1.5rem">{_TO_BATCH}{_TO_GLOBAL}</div>'
"""Both, side by side where there is room."""
