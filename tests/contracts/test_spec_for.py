"""What an encoder says of inputs that are not its own: other sizes, lengths and fields."""

from dataclasses import replace

import pytest

from vlobjectives import CannotBuild, Encoder, FieldSpec, PartConfig, Spec

OWN = {"image": FieldSpec("picture", (3, 64, 32))}
SPEC = Spec(8, length=32, grid=(8, 4), patch_size=8, classes=1, fields=OWN, can=frozenset({"drop", "sizes", "frames"}))


def encoder(**changes) -> Encoder:
    made = Encoder(PartConfig(), OWN)
    made.spec = replace(SPEC, **changes)
    return made


def pictures(*shape: int) -> dict[str, FieldSpec]:
    return {"local": FieldSpec("picture", shape)}


def test_its_own_fields_have_its_own_spec():
    made = encoder()
    assert made.spec_for(dict(OWN)) is made.spec


def test_the_same_size_under_another_name_differs_in_fields_alone():
    assert encoder().spec_for(pictures(3, 64, 32)) == replace(SPEC, fields=pictures(3, 64, 32))


@pytest.mark.parametrize(
    ("patch", "shape", "grid", "length"),
    [
        (8, (3, 32, 32), (4, 4), 16),
        (8, (3, 8, 128), (1, 16), 16),
        ((16, 8), (3, 32, 32), (2, 4), 8),
        (8, (4, 3, 32, 32), (4, 4), 64),
    ],
)
def test_another_size(patch, shape, grid, length):
    found = encoder(patch_size=patch).spec_for(pictures(*shape))
    assert found == replace(
        SPEC, patch_size=patch, grid=grid, length=length, fields=pictures(*shape), frames=4 if len(shape) == 4 else 1
    )


def test_another_number_of_frames():
    assert encoder(frames=2, length=64).spec_for(pictures(5, 3, 64, 32)).length == 160
    still = encoder(can=frozenset({"sizes"})).spec_for(pictures(5, 3, 64, 32))
    assert (still.frames, still.length) == (1, 32)


def test_fields_of_text_change_no_length():
    words = {"caption_2": FieldSpec("tokens", (9,), 30)}
    made = encoder(fields={"caption": FieldSpec("tokens", (7,), 30)}, grid=None, length=7)
    assert made.spec_for(words) == replace(made.spec, fields=words)


@pytest.mark.parametrize(
    ("changes", "shape", "why"),
    [
        ({"can": frozenset({"drop"})}, (3, 32, 32), "3 x 64 x 32 alone, and these are 3 x 32 x 32"),
        ({}, (1, 32, 32), "3 x 64 x 32 alone, and these are 1 x 32 x 32"),
        ({}, (3, 36, 32), "a picture of 36 x 32 is not made of whole patches of 8 x 8"),
        ({}, (3, 4, 32), "a picture of 4 x 32 is not made of whole patches of 8 x 8"),
        (
            {"patch_size": (16, 8), "grid": None},
            (3, 40, 32),
            "a picture of 40 x 32 is not made of whole patches of 16 x 8",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(changes, shape, why):
    with pytest.raises(CannotBuild, match=why):
        encoder(**changes).spec_for(pictures(*shape))
