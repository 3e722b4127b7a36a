"""Masks: characters that stand for placeables while a text passes through a translator.

Models that know them have a token for each, see docs/decisions/placeables.md. They are code
points for private use (Unicode 16, section 23.5), so no text has another meaning for them; those
that a text does hold are placeables themselves.
"""

from service.text.masking.placeables import Kind

MASKS_PER_KIND = 8
MASKS: dict[Kind, str] = {
    "number": "".join(map(chr, range(0xE000, 0xE000 + MASKS_PER_KIND))),
    "name": "".join(map(chr, range(0xE008, 0xE008 + MASKS_PER_KIND))),
}
ALL_MASKS = "".join(MASKS.values())
