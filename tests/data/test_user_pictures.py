"""What a run reads later is what it was trained on: one reader, one framing, whatever a picture is given as."""

import json
import shutil
import struct
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_recipes import SMALL

import vlobjectives
from vlobjectives import api
from vlobjectives.data import user_pictures
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.errors import DataError
from vlobjectives.pictures import PictureError, read_picture
from vlobjectives.recipe import load as load_recipe
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve

LIMIT = 10**6
NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
TEXT = (
    SMALL[SMALL.index("fields:") : SMALL.index("  fusion:")]
    + """\
  joint: {type: projection, width: 16}
objectives: {itc: {}}
optim: {lr: 1e-3}
run: {steps: 1, device: cpu, precision: fp32}
"""
)


def tiff(path: Path, bits: int, pixels: bytes, form: int = 1) -> None:
    """Gray, 20 x 40. form: of unsigned numbers, or 2 of signed ones."""
    tags = {
        256: 40,
        257: 20,
        258: bits,
        259: 1,
        262: 1,
        273: 8 + 2 + 10 * 12 + 4,
        277: 1,
        278: 20,
        279: len(pixels),
        339: form,
    }
    path.write_bytes(
        b"II*\0"
        + struct.pack("<IH", 8, len(tags))
        + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        + bytes(4)
        + pixels
    )


def tiff_of_12_bits(path: Path) -> None:
    """Two pixels in three bytes, as scanners write."""
    values = np.linspace(0, 4095, 800).astype(int).tolist()
    tiff(path, 12, b"".join((a << 12 | b).to_bytes(3) for a, b in zip(values[::2], values[1::2])))


def every_kind(folder: Path) -> list[str]:
    """Pictures that readers take apart in several ways."""
    rgba = np.dstack([NOISE, NOISE[..., 0]])
    turned = Image.Exif()
    turned[0x0112] = 6
    whole = Image.fromarray(NOISE)
    palette = whole.quantize(16)
    for name, picture, how in [
        ("rgb.png", whole, {}),
        ("tall.png", whole.resize((10, 60)), {}),
        ("wide.png", whole.resize((90, 12)), {}),
        ("gray16.png", Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257), {}),
        ("palette.png", palette, {"transparency": 3}),
        ("rgba.webp", Image.fromarray(rgba), {"lossless": True}),
        ("cmyk.jpg", whole.convert("CMYK"), {}),
        ("turned.jpg", whole, {"exif": turned}),
    ]:
        picture.save(folder / name, **how)
    tiff_of_12_bits(folder / "bits12.tif")
    return sorted(path.name for path in folder.iterdir())


def data_module(folder: Path, names: list[str], **options) -> DataModule:
    data = {
        "type": "captions",
        "manifest": str(folder / "m.jsonl"),
        "image_size": 32,
        "batch": 4,
        "hold_out": {},
        **options,
    }
    for name in names:
        shutil.copyfile(folder / name, folder / f"train_{name}")  # one file in two splits would be a leak
    listed = [*((f"train_{name}", "train") for name in names), *((name, "val") for name in names)]
    (folder / "m.jsonl").write_text(
        "".join(json.dumps({"image": name, "caption": "a thing", "split": split}) + "\n" for name, split in listed),
        encoding="utf-8",
    )
    (folder / "r.yaml").write_text(f"data: {json.dumps(data)}\n{TEXT}", encoding="utf-8")
    return build_data(resolve(load_recipe(folder / "r.yaml"), Registry()))


@pytest.mark.parametrize(
    "options",
    [{}, {"resize": "squash"}, {"interpolation": "bicubic", "augment": "crop", "flip": True}],
    ids=["cut", "squeezed", "bicubic"],
)
def test_a_picture_is_the_held_out_one_to_the_bit(tmp_path, options):
    names = every_kind(tmp_path)
    made = data_module(tmp_path, names, **options)
    held = [made.source.sample("val", number, 0, 0).values["image"] for number in range(len(names))]
    paths = [tmp_path / name for name in names]
    opened = [Image.open(path) for path in paths]
    loaded = [Image.open(path) for path in paths]
    for picture in loaded:
        picture.load()
    whole = [read_picture(path, LIMIT) for path in paths]
    for given in (
        paths,
        [str(path) for path in paths],
        [path.read_bytes() for path in paths],
        opened,
        loaded,
        whole,
        [picture.numpy()[:, ::-1][:, ::-1] for picture in whole],
    ):
        _, found = user_pictures.framed(made, "image", given, LIMIT)
        assert all(torch.equal(one, other) for one, other in zip(found, held, strict=True))
    _, again = user_pictures.framed(made, "image", held, LIMIT)
    assert all(torch.equal(one, other) for one, other in zip(again, held, strict=True)), "what is framed stays so"


def test_a_source_that_only_described_itself_frames_too(tmp_path):
    made = data_module(tmp_path, every_kind(tmp_path), resize="squash", mean="clip", std="clip")
    resolved = resolve(load_recipe(tmp_path / "r.yaml"), Registry())
    (tmp_path / "m.jsonl").unlink()
    told = build_data(resolved, samples=False)
    (_, own), (fields, found) = (
        user_pictures.framed(one, "image", [tmp_path / "tall.png"], LIMIT) for one in (made, told)
    )
    assert torch.equal(own[0], found[0]) and fields.spec("image").mean[0] == pytest.approx(0.4815, abs=1e-4)


def test_embeddings_of_files_are_those_of_the_held_out_samples(tmp_path):
    names = every_kind(tmp_path)
    made = data_module(tmp_path, names, mean="imagenet", std="imagenet")
    towers = api.TrainedModel(vlobjectives.build(tmp_path / "r.yaml").eval(), 0)
    samples = [made.source.sample("val", number, 0, 0) for number in range(len(names))]
    held = towers.embed_images([sample.values["image"] for sample in samples])
    assert torch.equal(towers.embed_images([tmp_path / name for name in names]), held)
    with pytest.raises(DataError, match="list of one"):
        towers.embed_images(tmp_path / names[0])


def test_what_cannot_be_told_apart_is_refused_in_both(tmp_path):
    """12 bits that a file of 16 does not mention, gray and coloured; a black one is black."""
    ramp = np.linspace(0, 4095, 400).reshape(20, 20).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "gray.png")
    with Image.open(tmp_path / "gray.png") as picture:
        picture.save(tmp_path / "gray.tif")
    rows = b"".join(b"\0" + np.repeat(row.astype(">u2"), 3).tobytes() for row in ramp)
    (tmp_path / "rgb.png").write_bytes(png(20, 20, rows))
    (tmp_path / "plain.pgm").write_bytes(b"P5 20 20 65535\n" + ramp.astype(">u2").tobytes())
    Image.fromarray(ramp * 0).save(tmp_path / "black.png")
    names = ["gray.png", "gray.tif", "rgb.png", "plain.pgm", "black.png"]
    made = data_module(tmp_path, names)
    for number, name in enumerate(names):
        sample = made.source.sample("train", number, 0, 0)
        read = partial(user_pictures.framed, made, "image", max_pixels=LIMIT)
        if name == "black.png":
            assert not sample.values["image"].any()
            continue
        assert "it may hold 12 bits or fewer" in sample.reason
        for given in (tmp_path / name, (tmp_path / name).read_bytes(), Image.open(tmp_path / name)):
            with pytest.raises(DataError, match="may hold 12 bits or fewer"):
                read(pictures=[given])
    tiff_of_12_bits(tmp_path / "said.tif")
    said = read_picture(tmp_path / "said.tif", LIMIT)[0].flatten()
    assert (said.int().diff() >= 0).all() and said[-1] == 255


def test_signed_numbers_have_no_known_white(tmp_path):
    tiff(tmp_path / "signed.tif", 16, np.linspace(0, 32767, 800).astype("<i2").tobytes(), form=2)
    tiff(tmp_path / "plain.tif", 16, np.linspace(0, 65535, 800).astype("<u2").tobytes())
    assert read_picture(tmp_path / "plain.tif", LIMIT).max() == 255
    with pytest.raises(PictureError, match="signed 16-bit pixels"):
        read_picture(tmp_path / "signed.tif", LIMIT)


def png(width: int, height: int, rows: bytes) -> bytes:
    """A PNG of three channels of 16 bits, which Pillow reads and does not write."""
    import zlib

    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in parts
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (torch.rand(3, 8, 8), r"float32 \[3, 8, 8\] and no uint8 \[3,H,W\]"),
        (torch.zeros(8, 8, dtype=torch.uint8), r"uint8 \[8, 8\]"),
        (np.zeros((8, 8, 3), np.uint8), r"uint8 \[8, 8, 3\]"),
        (torch.zeros(3, 2000, 600, dtype=torch.uint8), "600 x 2000 pixels, more than data.max_pixels"),
        (torch.zeros(3, 0, 8, dtype=torch.uint8), r"uint8 \[3, 0, 8\]"),
        (b"GIF89a", "damaged"),
        (None, "is NoneType"),
        (Image.fromarray(np.full((8, 8), 200, np.int32)), "32-bit integer pixels, whose range is unknown"),
        ("nowhere.png", "does not exist"),
        (Image.new("F", (8, 8)), "floating-point"),
    ],
)
def test_what_is_no_picture(tmp_path, given, why):
    Image.fromarray(NOISE).save(tmp_path / "rgb.png")
    with pytest.raises(DataError, match=why) as caught:
        user_pictures.framed(data_module(tmp_path, ["rgb.png"]), "image", [tmp_path / "rgb.png", given], LIMIT)
    assert caught.value.hint and "picture" in str(caught.value)


def test_a_source_that_says_nothing_shows_the_whole_squeezed(tmp_path):
    """Of one channel, or of clips, pixels alone: nothing says how a file would become these."""
    Image.fromarray(NOISE).save(tmp_path / "rgb.png")
    plain = partial(vlobjectives.Source.framed, None, max_pixels=LIMIT)
    assert plain(spec=vlobjectives.FieldSpec("picture", (3, 8, 8)), picture=tmp_path / "rgb.png").shape == (3, 8, 8)
    gray, clip = vlobjectives.FieldSpec("picture", (1, 8, 8)), vlobjectives.FieldSpec("picture", (2, 3, 8, 8))
    assert plain(spec=gray, picture=np.zeros((1, 16, 8), np.uint8)).shape == (1, 8, 8)
    assert plain(spec=clip, picture=torch.zeros(2, 3, 16, 8, dtype=torch.uint8)).shape == (2, 3, 8, 8)
    for spec, wrong, why in (
        (gray, tmp_path / "rgb.png", r"no uint8 \[1,H,W\]"),
        (clip, tmp_path / "rgb.png", r"no uint8 \[2,3,H,W\]"),
        (clip, torch.zeros(3, 3, 8, 8, dtype=torch.uint8), r"uint8 \[3, 3, 8, 8\] and no uint8"),
    ):
        with pytest.raises(PictureError, match=why):
            plain(spec=spec, picture=wrong)


def test_bytes_are_no_path(tmp_path):
    data = BytesIO()
    Image.fromarray(NOISE).save(data, "PNG")
    assert torch.equal(read_picture(data.getvalue(), LIMIT).permute(1, 2, 0), torch.from_numpy(NOISE))
