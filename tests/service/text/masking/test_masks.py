import unicodedata

from service.text.masking.masks import ALL_MASKS, MASKS, MASKS_PER_KIND
from service.text.masking.placeables import find_placeables


def test_masks_are_private_and_each_belongs_to_one_kind() -> None:
    assert len(set(ALL_MASKS)) == len(ALL_MASKS) == MASKS_PER_KIND * len(MASKS)
    assert {unicodedata.category(mask) for mask in ALL_MASKS} == {"Co"}


def test_mask_of_a_client_is_a_placeable_itself() -> None:
    assert len(find_placeables(" ".join(ALL_MASKS))) == len(ALL_MASKS)
