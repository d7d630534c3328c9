"""Starting weights of the vision encoder: timm's and CLIP's names, another grid, fewer blocks, and what is refused."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from small_inputs import PLAIN, agrees, pictures
from timm.models import save_for_hf
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from vlobj_models.timm_vision import TimmVision
from vlobj_models.vision_weights import resampled
from vlobj_models.weights_files import tensors_only
from vlobj_models.weights_names import CLIP

from vlobjectives import CannotBuild

SIZES = {"patch": 4, "width": 16, "depth": 2, "heads": 2, "pre_norm": True, "act": "quick_gelu", "norm_eps": 1e-5}


def source(depth: int = 2, size: int = 16, **more) -> VisionTransformer:
    torch.manual_seed(1)
    model = VisionTransformer(
        size,
        4,
        embed_dim=16,
        depth=depth,
        num_heads=2,
        pre_norm=True,
        act_layer="quick_gelu",
        norm_layer=lambda width, **_: torch.nn.LayerNorm(width, 1e-5),
        num_classes=3,
        **more,
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def made(path: Path | str, size: int = 16, **config) -> TimmVision:
    torch.manual_seed(0)
    return TimmVision(TimmVision.Config(**{**SIZES, "weights": str(path), **config}), pictures(size)).eval()


def clip_names(state: dict[str, Tensor], root: str) -> dict[str, Tensor]:
    found = {}
    for key, value in state.items():
        for theirs, ours in reversed(CLIP.items()):
            key = key.replace(ours, theirs)
        if key == "class_embedding":
            value = value.flatten()
        if key == "positional_embedding":
            value = value[0]
        found[root + key] = value
    return found


@pytest.mark.parametrize("form", ["safetensors", "pth", "nested", "folder", "clip", "open_clip"])
def test_weights_give_the_sources_outputs(form: str, tmp_path: Path):
    model, path = source(), tmp_path / "model.safetensors"
    state = model.state_dict()
    if form in ("clip", "open_clip"):
        body = {key: value for key, value in state.items() if not key.startswith("head")}
        root = "visual." if form == "open_clip" else ""
        more = {"transformer.resblocks.0.ln_1.weight": torch.zeros(4)} if root else {}  # the text tower beside it
        state = clip_names(body, root) | {f"{root}proj": torch.zeros(16, 8)} | more
        assert any(".in_proj_weight" in key for key in state)
    if form in ("pth", "nested"):
        path = tmp_path / "model.pth"
        torch.save({"state_dict": state} if form == "nested" else state, path)
    else:
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    part = made(tmp_path if form == "folder" else path)
    lines = part.load_weights()
    x = torch.randn(2, 3, 16, 16)
    value = part(x, None, PLAIN)
    agrees(torch.cat([value.cls, value.tokens], 1), model.forward_features(x))
    assert "tensors from" in lines[0] and len(lines) == 1


def test_the_last_blocks_of_a_deeper_checkpoint_are_not_built(tmp_path: Path):
    torch.save(source(depth=3).state_dict(), tmp_path / "model.pth")
    part = made(tmp_path / "model.pth")
    assert any("blocks 2 to 2" in line for line in part.load_weights())
    shallow = source(depth=3)
    shallow.blocks = shallow.blocks[:2]
    x = torch.randn(2, 3, 16, 16)
    agrees(part(x, None, PLAIN).tokens, shallow.forward_features(x)[:, 1:])


def test_positions_are_interpolated_and_the_class_row_is_kept(tmp_path: Path):
    model = source()
    ramp = torch.linspace(0, 1, 4)
    with torch.no_grad():
        model.pos_embed[0, 1:] = (ramp[:, None] + 10 * ramp).flatten()[:, None]  # rows rise by 1, columns by 10
    torch.save(model.state_dict(), tmp_path / "model.pth")
    part = made(tmp_path / "model.pth", size=32)
    assert any("from 4 x 4 to 8 x 8" in line for line in part.load_weights())
    assert torch.equal(part.module.pos_embed[0, 0], model.pos_embed[0, 0])
    table = part.module.pos_embed[0, 1:].reshape(8, 8, 16)[..., 0]
    down, along = table.diff(dim=0), table.diff(dim=1)
    assert (down[1:-1] > 0).all() and (along[:, 1:-1] > 5 * down.max()).all()


def test_interpolation_is_bicubic_without_antialiasing():
    table = torch.randn(1, 1 + 16, 3)
    picture = table[:, 1:].reshape(1, 4, 4, 3).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(picture, (3, 6), mode="bicubic").permute(0, 2, 3, 1).reshape(1, 18, 3)
    found = resampled(table, (3, 6), 1)
    assert torch.equal(found[:, 1:], expected) and torch.equal(found[:, :1], table[:, :1])
    assert resampled(table, (4, 4), 1) is table


def test_everything_that_does_not_fit_is_named_and_nothing_is_loaded(tmp_path: Path):
    state = source(depth=1).state_dict()
    state["norm.weight"] = torch.zeros(5)
    state["surprise"] = state.pop("cls_token")
    torch.save(state, tmp_path / "model.pth")
    part = made(tmp_path / "model.pth")
    before = part.module.patch_embed.proj.weight.clone()
    with pytest.raises(CannotBuild) as caught:
        part.load_weights()
    for words in (
        "blocks.1.attn.qkv.weight is missing",
        "cls_token is missing",
        "surprise is not known",
        "norm.weight is 5, built 16",
    ):
        assert words in caught.value.why
    assert torch.equal(before, part.module.patch_embed.proj.weight)


def test_a_folder_that_timm_wrote_also_tells_what_shapes_do_not(tmp_path: Path):
    model = timm.create_model("test_vit", num_classes=0).eval()
    save_for_hf(model, tmp_path, safe_serialization=True)
    named = {
        "name": "test_vit",
        "patch": None,
        "width": None,
        "depth": None,
        "heads": None,
        "pre_norm": None,
        "act": None,
        "norm_eps": None,
    }
    part, x = made(tmp_path, size=160, **named), torch.randn(1, 3, 160, 160)
    part.load_weights()
    agrees(part(x, None, PLAIN).tokens, model.forward_features(x)[:, 1:])
    with pytest.raises(CannotBuild, match="act is GELU, written QuickGELU"):
        made(tmp_path, size=160, **{**named, "act": "quick_gelu"}).load_weights()
    written = {"patch": 16, "width": 64, "depth": 6, "heads": 4, "mlp_ratio": 3.0, "pre_norm": False, "act": None}
    with pytest.raises(CannotBuild, match=r"heads is 2, written 4; norm_eps is 1e-06, written 1e-05$"):
        made(tmp_path, size=160, **written).load_weights()


@pytest.mark.parametrize(
    "weights, why",
    [
        ("vit_nowhere", "neither a file or folder nor a timm model"),
        ("vit_tiny_patch16_224.no_such_tag", "could not load the weights"),
    ],
)
def test_weights_that_are_not_there_are_refused(weights: str, why: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CannotBuild, match=why):
        made(weights).load_weights()


def test_a_file_that_runs_code_is_not_read(tmp_path: Path):
    (tmp_path / "model.pth").write_bytes(pickle.dumps({"cls_token": Path}, 2))
    with pytest.raises(CannotBuild, match="cannot be read"):
        made(tmp_path / "model.pth").load_weights()


@pytest.mark.parametrize("kind", ["pickle", "torch", "script"])
def test_no_message_says_to_run_what_a_file_holds(kind: str, tmp_path: Path):
    path = tmp_path / "model.pth"
    if kind == "script":
        torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    elif kind == "torch":
        torch.save({"cls_token": Runs(tmp_path / "ran")}, path)
    else:
        path.write_bytes(pickle.dumps({"cls_token": Runs(tmp_path / "ran")}))
    with pytest.raises(CannotBuild, match="is never run") as caught:
        made(path).load_weights()
    assert "weights_only" not in caught.value.why + caught.value.hint and not (tmp_path / "ran").exists()


@dataclass
class Runs:
    """Makes a file where it is unpickled."""

    path: Path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_a_folder_of_timms_is_not_run(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"architecture": "test_vit", "pretrained_cfg": {}}', encoding="utf-8")
    torch.save({"cls_token": torch.zeros(1, 1, 64), "x": Runs(tmp_path / "ran")}, tmp_path / "pytorch_model.bin")
    part = TimmVision(TimmVision.Config(name="test_vit", weights=str(tmp_path)), pictures(160))
    with pytest.raises(CannotBuild, match="never run"):
        part.load_weights()
    with tensors_only(), pytest.raises(pickle.UnpicklingError):  # whatever a library asks for
        torch.load(tmp_path / "pytorch_model.bin", weights_only=False)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("root", ["module.", "model.", "backbone.", "module.encoder.vit.", "teacher.backbone."])
@pytest.mark.parametrize("nested", [False, True])
def test_a_prefix_of_all_names_is_taken_off_and_said(root: str, nested: bool, tmp_path: Path):
    model, path, state = source(), tmp_path / "model.pth", {}
    if nested:
        state = {"epoch": 3, "ema": None, root[:-1]: model.state_dict()}
    else:
        state = {root + key: value for key, value in model.state_dict().items()} | {"head.weight": torch.zeros(1)}
    torch.save(state, path)
    part = made(path)
    lines = part.load_weights()
    x = torch.randn(2, 3, 16, 16)
    agrees(part(x, None, PLAIN).tokens, model.forward_features(x)[:, 1:])
    assert any(root in line for line in lines[1:]) or (nested and root == "model.")  # where it is the usual place


def test_two_models_in_a_file_are_not_chosen_from(tmp_path: Path):
    held = {
        root: {f"backbone.{key}": value for key, value in source().state_dict().items()}
        for root in ("student", "teacher")
    }
    torch.save(held, tmp_path / "model.pth")
    with pytest.raises(CannotBuild, match=r"student\.backbone\., teacher\.backbone\.") as caught:
        made(tmp_path / "model.pth").load_weights()
    assert "torch.save" in caught.value.hint


def test_of_many_tensors_four_are_named(tmp_path: Path):
    torch.save({f"odd.{number}": torch.zeros(1) for number in range(9)}, tmp_path / "model.pth")
    with pytest.raises(CannotBuild, match="and 5 more") as caught:
        made(tmp_path / "model.pth").load_weights()
    assert caught.value.why.count("is missing") == caught.value.why.count("is not known") == 4
    assert "cls_token" in caught.value.hint


def test_names_of_transformers_are_told(tmp_path: Path):
    held = {f"vit.encoder.layer.0.attention.attention.{name}.weight": torch.zeros(16, 16) for name in ("query", "key")}
    torch.save(held | {"blocks.odd": torch.zeros(1)}, tmp_path / "model.pth")
    with pytest.raises(CannotBuild, match="cls_token is missing") as caught:
        made(tmp_path / "model.pth").load_weights()
    assert "transformers' names" in caught.value.hint


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("form", ["timm", "clip"])
def test_weights_that_are_no_numbers_are_named_with_their_file(form: str, number: float, tmp_path: Path):
    state = source().state_dict()
    state["norm.weight"][3] = number
    body = {key: value for key, value in state.items() if not key.startswith("head")}
    state = clip_names(body, "visual.") if form == "clip" else state | {"head.weight": torch.full((1,), number)}
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "model.safetensors")
    part = made(tmp_path)
    with pytest.raises(CannotBuild, match="NaN or infinity") as caught:
        part.load_weights()
    told = "visual.ln_post.weight" if form == "clip" else "norm.weight"
    assert told in caught.value.why and str(tmp_path / "model.safetensors") in caught.value.why
    assert "head" not in caught.value.why, "what is not used may be anything"
    assert all(value.isfinite().all() for value in part.state_dict().values())


def test_what_a_name_stands_for_is_held_against_the_recipe_before_anything_is_fetched():
    fitting = {"patch": 16, "width": 768, "depth": 1, "heads": 12, "pre_norm": True, "norm_eps": 1e-5}
    name = "vit_base_patch16_clip_224.openai"
    with torch.device("meta"), pytest.raises(CannotBuild, match="act is GELU, written QuickGELU") as caught:
        made(name, 32, **fitting, act="quick_gelu")
    assert caught.value.hint == "weights: vit_base_patch16_clip_quickgelu_224.openai"
    with torch.device("meta"):
        made("vit_base_patch16_clip_quickgelu_224.openai", 32, **fitting, act="quick_gelu")
        with pytest.raises(CannotBuild, match="heads is 12, written 6; norm_eps"):
            made(name, 32, **{**fitting, "heads": 6, "norm_eps": 1e-6}, act="gelu")


def test_a_pointer_is_not_the_file(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(CannotBuild, match="Git LFS") as caught:
        made(tmp_path).load_weights()
    assert caught.value.hint == "git lfs pull"


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(CannotBuild, match="holds no weights"):
        made(tmp_path).load_weights()


def test_a_stem_of_our_own_has_no_weights(tmp_path: Path):
    torch.save(source().state_dict(), tmp_path / "model.pth")
    with pytest.raises(CannotBuild, match="no conv stem"):
        made(tmp_path / "model.pth", stem="conv").load_weights()
