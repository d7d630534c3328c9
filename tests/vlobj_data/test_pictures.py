"""Decoding and framing of pictures made here; the hostile collection is in test_hostile.py."""

import io
import os
import random

import numpy as np
import pytest
import torch
from PIL import Image
from vlobj_data.captions.framing import centre, may_flip, random_box, square
from vlobj_data.captions.roots import PathError, Roots

from vlobjectives.pictures import PictureError, check_header, read_picture

LIMIT = 64_000_000
COLOURS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def saved(folder, name, picture, **how):
    picture.save(folder / name, **how)
    return folder / name


def smooth() -> Image.Image:
    """A picture that JPEG keeps nearly as it is."""
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    rows = [np.tile(ramp, (48, 1)), np.tile(ramp[::-1], (48, 1)), np.full((48, 64), 90, np.uint8)]
    return Image.fromarray(np.stack(rows, 2))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_are_exact(tmp_path, kind):
    found = read_picture(saved(tmp_path, "no_extension", Image.fromarray(COLOURS), format=kind), LIMIT)
    assert found.dtype == torch.uint8 and found.is_contiguous()
    assert np.array_equal(found.permute(1, 2, 0).numpy(), COLOURS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path, kind, orientation):
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    stored = smooth() if back is None else smooth().transpose(back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_picture(saved(tmp_path, "x", stored, format=kind, exif=exif, quality=95), LIMIT)
    wanted = torch.from_numpy(np.array(smooth())).permute(2, 0, 1)
    assert found.shape == wanted.shape
    assert (found.int() - wanted.int()).abs().float().mean() < 3


def test_transparent_pixels_are_white_whatever_lies_beneath(tmp_path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:, 2:] = (10, 20, 30, 255)
    rgba[0, 2] = (0, 0, 0, 128)
    found = read_picture(saved(tmp_path, "x.png", Image.fromarray(rgba)), LIMIT)
    assert (found[:, :, :2] == 255).all()
    assert found[:, 1, 2].tolist() == [10, 20, 30]
    assert found[:, 0, 2].tolist() == [127, 127, 127]


def test_sixteen_bits_keep_the_high_byte(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    found = read_picture(saved(tmp_path, "x.png", Image.fromarray(ramp)), LIMIT)
    assert np.array_equal(found[0].numpy(), (ramp >> 8).astype(np.uint8))
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_of_unknown_range_are_refused(tmp_path, mode):
    values = np.full((4, 4), 70000, np.float32 if mode == "F" else np.int32)
    with pytest.raises(PictureError, match="range is unknown"):
        read_picture(saved(tmp_path, "x.tif", Image.fromarray(values)), LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path, kind, share):
    whole = io.BytesIO()
    Image.fromarray(np.kron(COLOURS, np.ones((4, 4, 1), np.uint8))).save(whole, kind)
    path = tmp_path / "x"
    path.write_bytes(whole.getvalue()[: int(len(whole.getvalue()) * share)])
    with pytest.raises(PictureError):
        read_picture(path, LIMIT)


def test_the_end_of_a_thumbnail_is_not_the_end_of_a_jpeg(tmp_path):
    small, whole = io.BytesIO(), io.BytesIO()
    smooth().resize((16, 12)).save(small, "JPEG")
    smooth().save(whole, "JPEG")
    data = whole.getvalue()
    segment = b"\xff\xe1" + (len(small.getvalue()) + 2).to_bytes(2, "big") + small.getvalue()
    path = tmp_path / "x.jpg"
    path.write_bytes(data[:2] + segment + data[2:])
    assert read_picture(path, LIMIT).shape == (3, 48, 64)
    path.write_bytes((data[:2] + segment + data[2:])[:-30])
    with pytest.raises(PictureError, match="truncated"):
        read_picture(path, LIMIT)


def test_a_large_header_is_refused_before_decoding(tmp_path):
    path = saved(tmp_path, "x.png", Image.new("1", (3000, 2000)))
    assert read_picture(path, 6_000_000).shape == (3, 2000, 3000)
    for read in (read_picture, check_header):
        with pytest.raises(PictureError, match=r"3000 x 2000 pixels, more than data.max_pixels = 5999999"):
            read(path, 5_999_999)


def test_no_pictures(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "page.jpg").write_text("<html>404</html>", encoding="utf-8")
    (tmp_path / "script.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", encoding="utf-8")
    reasons = {
        ".": "is a folder",
        "pipe.jpg": "no plain file",
        "empty.jpg": "empty",
        "page.jpg": "none of JPEG",
        "script.jpg": "none of JPEG",
        "missing.jpg": "does not exist",
        "x" * 300: "cannot be opened",
    }
    for name, why in reasons.items():
        for read in (read_picture, check_header):
            with pytest.raises(PictureError, match=why):
                read(tmp_path / name, LIMIT)


def test_random_damage_gives_a_picture_or_an_error(tmp_path):
    draw = random.Random(0)
    path = tmp_path / "x"
    outcomes = set()
    for kind in ("JPEG", "PNG", "GIF", "WEBP"):
        whole = io.BytesIO()
        smooth().save(whole, kind)
        for _ in range(40):
            data = bytearray(whole.getvalue())
            for _ in range(draw.randint(1, 6)):
                data[draw.randrange(len(data))] = draw.randrange(256)
            path.write_bytes(data)
            try:
                assert read_picture(path, 1_000_000).dtype == torch.uint8
                outcomes.add("picture")
            except PictureError:
                outcomes.add("error")
    assert outcomes == {"picture", "error"}


def test_only_files_inside_the_root(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.jpg").touch()
    (tmp_path / "outside.jpg").touch()
    (root / "out.jpg").symlink_to(tmp_path / "outside.jpg")
    (root / "away").symlink_to(tmp_path)
    (root / "near.jpg").symlink_to(root / "sub" / "a.jpg")
    (tmp_path / "root2").mkdir()
    (root / "beside").symlink_to(tmp_path / "root2")
    roots = Roots([str(root)], "data.images", "pictures", links=False)
    for name in ("sub/a.jpg", "near.jpg", "./sub/a.jpg", "a:b.jpg", "-x.jpg"):
        assert roots(name).is_relative_to(root)
    for name in (
        "../outside.jpg",
        "/etc/hostname",
        "sub/../../outside.jpg",
        "out.jpg",
        "away/outside.jpg",
        "beside/x.jpg",
        "http://127.0.0.1:9/a.jpg",
        "FILE:///etc/hostname",
        "data:image/png;base64,AA",
        "a\0.jpg",
    ):
        with pytest.raises(PathError):
            roots(name)


def test_framing():
    picture = torch.arange(3 * 40 * 60, dtype=torch.int64).reshape(3, 40, 60).remainder(256).to(torch.uint8)
    assert centre(40, 60) == (0, 10, 40, 40)
    assert torch.equal(square(picture, (5, 7, 20, 20), 20), picture[:, 5:25, 7:27])
    for shape in ((1, 1), (1, 2000), (2000, 1), (40, 60)):
        for seed in range(20):
            top, left, high, wide = random_box(*shape, (0.3, 0.9), random.Random(seed))
            assert 0 <= top <= top + high <= shape[0] and 0 <= left <= left + wide <= shape[1] and high and wide
        assert square(torch.zeros(3, *shape, dtype=torch.uint8), centre(*shape), 32).shape == (3, 32, 32)
    areas = [
        high * wide / 10000
        for seed in range(200)
        for _, _, high, wide in [random_box(100, 100, (0.3, 0.6), random.Random(seed))]
    ]
    assert 0.28 < min(areas) < 0.36 and 0.54 < max(areas) < 0.62
    boxes = {random_box(100, 100, (0.3, 0.6), random.Random(seed)) for seed in range(50)}
    assert len(boxes) > 45


def test_shrinking_is_antialiased():
    stripes = torch.zeros(3, 64, 64, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    small = square(stripes, (0, 0, 64, 64), 8).float()
    assert (small[:, :, 1:-1] - 127.5).abs().max() < 8


@pytest.mark.parametrize(
    ("caption", "may"),
    [("a dog left of a cat", False), ("Right-handed", False), ("the LEFTMOST", False), ("a bright upright dog", True)],
)
def test_left_and_right_forbid_a_mirror(caption, may):
    assert may_flip(caption) is may


GERMAN, FRENCH, CHINESE, ARABIC = ("link", "recht"), ("gauch", "droit"), ("左", "右"), ("يسار", "يمين")


@pytest.mark.parametrize(
    ("caption", "sides", "may"),
    [
        ("ein Hund LINKS vom Haus", GERMAN, False),
        ("der linke Hund", GERMAN, False),
        ("ein Hund", GERMAN, True),
        ("der schlechte Hund blinkt", GERMAN, True),
        ("un chien à gauche", FRENCH, False),
        ("adroit", FRENCH, True),
        ("左边的狗", CHINESE, False),
        ("狗在右边", CHINESE, False),
        ("一只狗", CHINESE, True),
        ("الكلب على اليسار", ARABIC, False),
        ("كلب", ARABIC, True),
        ("na le\N{COMBINING ACUTE ACCENT}vo", ("lévo",), False),
        ("\N{FULLWIDTH LATIN SMALL LETTER L}eft", ("left",), False),
        ("a dog on the left", (), True),
    ],
)
def test_words_of_another_language_forbid_a_mirror(caption, sides, may):
    assert may_flip(caption, sides) is may


def test_bicubic_is_pillows_within_a_step_and_not_bilinear():
    """What torchvision resizes and what Pillow does may differ by a rounding in each direction."""
    picture = torch.from_numpy(np.array(smooth())).permute(2, 0, 1)[:, :48, :48].contiguous()
    picture[:, 10:20, 10:20] = 255
    own = square(picture, (0, 0, 48, 48), 20, "bicubic")
    pillow = Image.fromarray(picture.permute(1, 2, 0).numpy()).resize((20, 20), Image.Resampling.BICUBIC)
    assert (own.int() - torch.from_numpy(np.array(pillow)).permute(2, 0, 1).int()).abs().max() <= 2
    assert (own.int() - square(picture, (0, 0, 48, 48), 20).int()).abs().max() > 10
