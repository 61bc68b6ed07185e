"""The pictures of both ways of matching, as SVG in a grey that can be read on light and dark pages.

Source: DELT Fig. 3, drawn anew.
"""

from __future__ import annotations

from delt_engine.plots.style import NEUTRAL


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


def _picture(parts: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 20 450 125" color="{NEUTRAL}" fill="currentColor" '
        f'font-size="12" font-family="sans-serif">{parts}</svg>'
    )


_MATCH = (
    _box(340, 100, "of synthetic", width=96)
    + _arrow(294, 76, 340, 48)
    + _arrow(294, 90, 340, 118)
    + '<path d="M388 66V100" stroke="currentColor" stroke-width="2.5" stroke-dasharray="3 3"/>'
    + '<text x="396" y="87" font-size="11">match</text>'
)
TO_BATCH = _picture(
    _box(4, 30, "real batch")
    + _box(4, 100, "synthetic batch")
    + _box(170, 65, "random network", width=124)
    + _arrow(122, 48, 170, 76)
    + _arrow(122, 118, 170, 90)
    + _box(340, 30, "of real", width=96)
    + _MATCH
)
TO_GLOBAL = _picture(
    _box(4, 30, "all real images", dashed=True)
    + _box(4, 100, "synthetic batch")
    + _box(170, 65, "frozen teacher", width=124)
    + _arrow(122, 48, 170, 76, "")
    + '<text x="150" y="46" font-size="11">trained once</text>'
    + _arrow(122, 118, 170, 90)
    + _box(340, 30, "its statistics", width=96)
    + _MATCH
)
