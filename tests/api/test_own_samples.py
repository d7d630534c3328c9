"""Batches of captions and pictures of one's own, and embeddings of any input: read as the run's own data is."""

from pathlib import Path

import pytest
import torch
import toy_audio
from PIL import Image
from small_recipes import SMALL, TINY

import vlobjectives
from vlobjectives import api
from vlobjectives.data.loader import fetch
from vlobjectives.errors import DataError, RecipeError, VlobjError

AUDIO = Path(toy_audio.__file__).with_name("toy_audio.yaml")


@pytest.fixture(scope="module")
def system():
    return vlobjectives.build("itc", *TINY, "run.precision=fp32")


@pytest.fixture(scope="module")
def heard():
    """A trained model of sounds, but for its training."""
    return api.TrainedModel(vlobjectives.build(AUDIO).eval(), 0)


def own(number: int = 0) -> dict:
    picture = Image.new("RGB", (90, 70), (number * 20, 100, 200))
    return {"image": picture, "caption": f"{number} red circles", "id": number}


def test_a_batch_of_the_runs_own_data_is_the_runs(system):
    source, fields = system.data_module.source, system.data_module.fields
    samples = [fetch(source, "test", number, 0, 0, 16)[0] for number in range(4)]
    made = system.batch([{key: sample.values[key] for key in ("image", "caption")} for sample in samples])
    held = fields.normalised(fields.batch(samples, range(4)))
    assert torch.equal(made.values["image"], held.values["image"])
    assert torch.equal(made.values["text"].ids, held.values["text"].ids)
    assert torch.equal(made.number, held.number) and made.source == held.source
    assert system(made, 0).value("itc/contrast") == system(held, 0).value("itc/contrast")


def test_pictures_are_framed_and_samples_numbered(system, tmp_path):
    own(1)["image"].save(tmp_path / "one.png")
    samples = [own(), own(1) | {"image": tmp_path / "one.png"}, own(1)]
    made = system.batch(samples, numbers=[7, 9, 9])
    assert made.values["image"].shape == (3, 3, 64, 64)
    assert torch.equal(made.values["image"][1], made.values["image"][2])
    assert made.number.tolist() == made.same.tolist() == [7, 9, 9]


def test_batches_are_in_the_systems_dtype():
    system = vlobjectives.build("itc", *TINY, "run.precision=fp32").double()
    made = system.batch([own(), own(1)])
    assert made.values["image"].dtype == next(system.batches()).values["image"].dtype == torch.float64
    system(made, 0).total.backward()
    assert system.model["joint"].temperature.grad.dtype == torch.float64


def test_a_mix_has_a_source_of_each_batch(tmp_path):
    options = "type: scenes, image_size: 32, samples: 16, val: 0, test: 0, test_new: 0"
    mixed = f"data: {{batch: 8, mix: {{a: {{{options}}}, b: {{{options}}}}}}}\n"
    text = mixed + SMALL[SMALL.index("fields:") : SMALL.index("  fusion:")] + "  joint: {type: projection, width: 8}\n"
    text += "objectives: {itc: {}, further: {type: itc, sources: [a]}}\noptim: {lr: 1e-3}\n"
    text += "run: {steps: 2, device: cpu}\nevaluate: {losses: false}"
    (tmp_path / "mixed.yaml").write_text(text, encoding="utf-8")
    system = vlobjectives.build(tmp_path / "mixed.yaml")
    assert system.batch([own(), own(1)]).source == "a"
    assert system.batch([own(), own(1)], source="b").source == "b"
    assert system(system.batch([own(), own(1)], source="b"), 0).terms.keys() == {"itc/contrast"}
    with pytest.raises(RecipeError, match="no source 'c'"):
        system.batch([own()], source="c")


def test_sounds_are_embedded_as_pictures_and_texts_are(heard):
    waves, captions = [toy_audio.tone(number) for number in range(5)], ["a low note", "a high note"]
    found = heard.embed("audio", waves)
    assert found.shape == (5, 16)
    assert torch.allclose(found.norm(dim=1), torch.ones(5))
    assert torch.equal(heard.embed("text", captions), heard.embed_texts(captions))
    torch.testing.assert_close(heard.embed("audio", waves, rows=2), found)
    batch = heard.system.batch([{"wave": wave, "caption": ""} for wave in waves])
    by_hand = heard.joint(heard.ears(batch.values["audio"], None, None), "image", vlobjectives.RequestedOutputs())
    torch.testing.assert_close(by_hand.pooled, found)
    with pytest.raises(RecipeError, match=r"no input 'image'(.|\n)*one of text, audio"):
        heard.embed_images([])


def test_what_is_no_sound(heard):
    with pytest.raises(
        DataError, match=r"value 1 cannot be read: fields.sound: a sound is a tensor(.|\n)*samples of one channel"
    ):
        heard.embed("audio", [toy_audio.tone(0), "a file"])


def test_each_process_builds_by_itself(tmp_path, monkeypatch):
    """On GPUs NCCL would be handed what a check has on the CPU."""
    sent, sums = [], torch.distributed.all_reduce
    torch.distributed.init_process_group("gloo", f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        monkeypatch.setattr(torch.distributed, "all_reduce", lambda x: (sent.append(x.shape), sums(x)))
        system = vlobjectives.build("itc", *TINY)
        assert not sent
        system(next(system.batches()), 0)
        assert len(sent) == 1
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda system: system.batch("a"), "samples are given as a list, and this is a str"),
        (lambda system: system.batch([5]), "sample 0 is an int and no mapping(.|\n)*'image': ..., 'caption': ..."),
        (lambda system: system.batch([]), "a batch of no sample"),
        (lambda system: system.batch([own(), {"image": 1}]), "sample 1 has no column 'caption'; it has image"),
        (lambda system: system.batch([own() | {"image": "no.png"}]), "sample 0, 'image': cannot be read as a picture"),
        (lambda system: system.batch([own(), own() | {"caption": 5}]), "sample 1 cannot be read: fields.caption"),
        (lambda system: system.batch([own()], numbers=[1, 2]), "2 numbers are given for 1 samples"),
        (lambda system: system.batch([own()], numbers=["a"]), "whole number of 0 or more, not 'a'"),
        (lambda system: system.batch([own()], source="coco"), "no source 'coco'(.|\n)*the recipe has one source"),
        (lambda system: system.batch([own()], device="quantum"), "device='quantum'"),
        (lambda system: system([own()], 0), "takes a Batch, and this is a list(.|\n)*system.batch"),
        (lambda system: system(system.batch([own()]), "a"), "step is a whole number"),
        (lambda system: system(system.batch([own()]), 0, names=["itm"]), "no objective 'itm'(.|\n)*there are itc"),
        (lambda system: next(system.batches(-1)), "first is a whole number of 0 or more, not -1"),
        (lambda system: api.TrainedModel(system, 0).embed("sound", []), "no input 'sound'(.|\n)*one of image, text"),
        (lambda system: api.TrainedModel(system, 0).embed("text", ["a", 5]), "value 1 cannot be read"),
        (lambda system: api.TrainedModel(system, 0).embed("text", "a"), "given as a list(.|\n)*list of one"),
        (lambda system: api.TrainedModel(system, 0).embed("text", ["a"], rows=0), "rows is a whole number of 1"),
        (lambda system: api.TrainedModel(system, 0).write_texts(["a.png"]), "no objective of this run trains"),
        (lambda system: api.TrainedModel(system, 0).write_texts([], beams=0), "beams is a whole number of 1"),
        (lambda system: vlobjectives.build(5), "a recipe is a file"),
        (lambda system: vlobjectives.build("itc", 5), "an override is text"),
        (lambda system: vlobjectives.build("itc", device="quantum"), "run.device"),
        (lambda system: vlobjectives.load(5), "a run is named by its folder, not by an int"),
    ],
)
def test_wrong_calls_say_what_to_correct(system, call, says):
    with pytest.raises(VlobjError, match=says):
        call(system)
