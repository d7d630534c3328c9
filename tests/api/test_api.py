"""The Python API: what `build` and `load` give is what a run has, and what they refuse they say."""

import json
import shutil

import pytest
import torch
from PIL import Image
from small_recipes import TINY

import vlobjectives
from vlobjectives import api
from vlobjectives.contracts.views import joint
from vlobjectives.data.data_module import build_data
from vlobjectives.errors import DataError, RecipeError
from vlobjectives.evaluation import context
from vlobjectives.recipe import load as load_recipe
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.runs import train_run
from vlobjectives.runtime.log import Log

FUSED = (
    *TINY,
    "model.fusion.width=32",
    "model.fusion.depth=1",
    "model.fusion.heads=2",
    "objectives.itm.weight=1",
    "objectives.mlm.weight=1",
    "objectives.mgsc.weight=1",
    "objectives.mltc.weight=1",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of two steps."""
    place = tmp_path_factory.mktemp("door") / "run"
    train_run.run(resolve(load_recipe("itc", TINY), Registry()), place, Log(first=False), False)
    return place


@pytest.fixture(scope="module")
def towers(run):
    return vlobjectives.load(run)


@pytest.fixture
def scene(run):
    return build_data(resolve(load_recipe(run), Registry())).source.sample("test", 3, 0, 0)


def test_first_losses_are_those_of_a_run(tmp_path):
    train_run.run(resolve(load_recipe("glscl", FUSED), Registry()), tmp_path / "run", Log(first=False), False)
    logged = json.loads((tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[0])
    system = vlobjectives.build("glscl", *FUSED).train()
    losses = system(next(system.batches()), 0)
    assert logged["step"] == 0
    assert len(losses.terms) == 8
    assert {name: losses.value(name).item() for name in losses.terms} == {
        name: term["value"] for name, term in logged["terms"].items()
    }
    assert {name: losses.weighted(name).item() for name in losses.terms} == pytest.approx(
        {name: term["weighted"] for name, term in logged["terms"].items()}, rel=1e-6
    )


def test_precision_is_the_recipes():
    assert vlobjectives.build("itc", *TINY, "run.precision=fp32").autocast is None
    assert vlobjectives.build("itc", *TINY, "run.precision=bf16").autocast == ("cpu", torch.bfloat16)


def test_batches_go_on_from_a_step_and_end_with_the_recipe():
    system = vlobjectives.build("itc", *TINY)
    whole = list(system.batches())
    assert [batch.size for batch in whole] == [8, 8]
    late = list(system.batches(1))
    assert len(late) == 1
    assert torch.equal(late[0].number, whole[1].number)
    assert torch.equal(late[0]["image"], whole[1]["image"])
    assert whole[0]["image"].dtype == torch.float32


def test_loop_of_ones_own_lowers_the_loss():
    system = vlobjectives.build("itc", *TINY, "run.precision=fp32").train()
    batch = next(system.batches())
    optimiser = torch.optim.AdamW(system.parameters(), lr=3e-3)
    values = []
    for _ in range(20):
        total = system(batch, 0).total
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        system.after_step()
        values.append(total.item())
    assert values[-1] < 0.5 * values[0]


def test_a_loop_without_the_step_is_told_so():
    """A step that is forgotten would leave every curriculum at its first point, and all masks at one draw."""
    system = vlobjectives.build("itc", *TINY, "objectives.itc.weight=[[0, 0], [1, 1]]")
    batch = next(system.batches())
    with pytest.raises(TypeError, match="'step'"):
        system(batch)
    assert [system(batch, step).weights for step in (0, 1)] == [{}, {"itc": 1.0}]


def test_a_step_without_an_objective_can_be_stepped():
    system = vlobjectives.build("itc", *TINY, "objectives.itc.weight=[[0, 0], [1, 1]]").train()
    total = system(next(system.batches()), 0).total
    total.backward()
    assert total == 0
    assert all(p.grad is None for p in system.parameters())


def test_loaded_weights_are_the_checkpoints(run, towers):
    assert towers.step == 2
    assert not towers.system.training
    fresh = vlobjectives.build(run)
    assert not torch.equal(fresh.model["joint"].image[0].weight, towers.joint.image[0].weight)


def test_embeddings_are_those_that_the_run_was_scored_with(run, towers):
    system, recipe = towers.system, towers.system.recipe
    made = build_data(resolve(load_recipe(run), Registry()))
    made.fields.readers = system.data_module.fields.readers
    held = context.SplitContext(system, made.source, made.fields, "test", recipe.seed, 8, torch.device("cpu"))
    samples = [held.sample(number) for number in range(12)]
    views = {name: joint(held.inputs[name]) for name in ("image", "text")}
    own = held.values(views, held.batch(samples, range(12)))
    pictures = towers.embed_images([torch.as_tensor(sample.values["image"]) for sample in samples])
    texts = towers.embed_texts([sample.values["caption"] for sample in samples])
    assert torch.equal(pictures, own["image"].pooled)
    assert torch.equal(texts, own["text"].pooled)
    assert pictures.shape == (12, 24)
    assert torch.allclose(pictures.norm(dim=1), torch.ones(12))


def test_rows_at_once_do_not_matter(towers, scene):
    texts = ["a red circle", "a blue star", scene.values["caption"]]
    assert torch.allclose(towers.embed_texts(texts, rows=2), towers.embed_texts(texts), atol=1e-2)
    assert towers.embed_texts([]).shape == towers.embed_images([]).shape == (0, 24)


def test_a_picture_is_the_same_however_it_comes(towers, scene, tmp_path):
    tensor = torch.as_tensor(scene.values["image"])
    picture = Image.fromarray(tensor.permute(1, 2, 0).numpy())
    picture.save(tmp_path / "scene.png")
    found = towers.embed_images([tensor, picture, tmp_path / "scene.png", str(tmp_path / "scene.png")])
    assert torch.equal(found, found[:1].expand_as(found))


def test_another_size_is_squeezed_to_the_models(towers, scene):
    tensor = torch.as_tensor(scene.values["image"])
    large = tensor.repeat_interleave(2, 1).repeat_interleave(3, 2)
    own, found = towers.embed_images([tensor, large])
    assert own @ found > 0.95


def test_turned_and_grey_pictures_are_read_as_seen(towers, scene, tmp_path):
    picture = Image.fromarray(torch.as_tensor(scene.values["image"]).permute(1, 2, 0).numpy())
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    picture.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    turned, own = towers.embed_images([tmp_path / "turned.png", picture])
    assert torch.equal(turned, own)
    assert towers.embed_images([picture.convert("L")]).shape == (1, 24)


def test_load_opens_no_data(run, monkeypatch):
    """A source that can describe itself is not made: a run embeds where its photos are not."""
    from vlobj_data.scenes.scenes import Scenes

    columns = build_data(resolve(load_recipe(run), Registry())).source.columns
    monkeypatch.setattr(Scenes, "described", classmethod(lambda cls, config: columns), raising=False)
    monkeypatch.setattr(Scenes, "__init__", lambda *args: pytest.fail("the source was made"))
    assert vlobjectives.load(run).embed_texts(["a red circle"]).shape == (1, 24)


def test_no_run(tmp_path):
    with pytest.raises(RecipeError, match="no run folder"):
        vlobjectives.load(tmp_path)


def test_no_checkpoint(run, tmp_path):
    place = shutil.copytree(run, tmp_path / "run")
    weights = next((place / "checkpoints").glob("step-*")) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match=r"no whole checkpoint.*differs from its hash"):
        vlobjectives.load(place)
    shutil.rmtree(place / "checkpoints")
    with pytest.raises(DataError, match="no whole checkpoint"):
        vlobjectives.load(place)


def test_no_such_part(towers):
    with pytest.raises(AttributeError, match=r"no part 'fusion'; it has vision, text, joint"):
        _ = towers.fusion
    assert towers.vision is towers.system.model["vision"]


def test_no_joint_space(towers):
    system = api.build("itc", *TINY)
    del system.model["joint"]
    with pytest.raises(RecipeError, match="0 projections of the input 'text'"):
        api.TrainedModel(system, 0).embed_texts(["a red circle"])


def test_what_is_no_picture(towers, tmp_path):
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    for wrong in (
        tmp_path / "text.png",
        tmp_path / "missing.png",
        torch.rand(3, 64, 64),
        torch.zeros(64, 64, dtype=torch.uint8),
    ):
        with pytest.raises(DataError, match="picture"):
            towers.embed_images([wrong])


def test_one_text_is_a_list_of_one(towers):
    with pytest.raises(DataError, match="list of one"):
        towers.embed_texts("a red circle")
    with pytest.raises(DataError, match="value 1 cannot be read"):
        towers.embed_texts(["a red circle", 2])
