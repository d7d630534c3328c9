"""The published losses, put together from the functions, against the published numbers."""

import pytest
import torch
from arrays import close, golden, leaf
from torch import Tensor
from torch.nn.functional import cross_entropy, gelu, layer_norm, linear

from vlobjectives import functional as f


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


def complete(p: Tensor, t: Tensor, tau: Tensor) -> Tensor:
    return f.symmetric_info_nce(f.l2_normalize(p), f.l2_normalize(t.detach()), tau).mean()


def complete_masked(p: Tensor, t: Tensor, mask: Tensor, tau: Tensor) -> Tensor:
    """SymNCE over the masked tokens of the batch, in as many rows as there are positions."""
    index, ok = f.mask_to_indices(mask, mask.shape[1])
    p, t = (f.l2_normalize(f.gather_tokens(x, index)).flatten(0, 1) for x in (p, t.detach()))
    return f.symmetric_info_nce(p, t, tau, ok.flatten()).sum() / ok.sum()


@pytest.mark.parametrize("name", ["itc_0", "itc_1"])
def test_itc(name: str, dtype: torch.dtype) -> None:
    z = golden(name, dtype)
    features = {}
    for side in ("text", "image"):
        w = {key.removeprefix(f"w_{side}_"): value for key, value in z.items() if key.startswith(f"w_{side}_")}
        x = linear(z[f"in_{side}"], w["fc1_weight"], w["fc1_bias"])
        x = layer_norm(x, x.shape[-1:], w["ln_weight"], w["ln_bias"], 1e-5)
        features[side] = leaf(linear(gelu(x), w["fc2_weight"], w["fc2_bias"]))
        close(features[side].detach(), z[f"out_{side}_proj"])
    text, image, tau = f.l2_normalize(features["text"]), f.l2_normalize(features["image"]), leaf(z["in_temperature"])
    close((text @ image.T).detach(), z["out_sim"])
    unweighted = f.symmetric_info_nce(text, image, tau).mean()
    close(unweighted.detach(), z["out_loss_unweighted"])
    loss = z["in_weight"] * unweighted
    close(loss.detach(), z["out_loss"])
    loss.backward()
    for side in ("text", "image"):
        close(features[side].grad, z[f"out_grad_{side}_proj"])
    close(tau.grad, z["out_grad_temperature"])


@pytest.mark.parametrize("name", ["itm_0", "itm_1"])
def test_itm(name: str, dtype: torch.dtype) -> None:
    z = golden(name, dtype)
    label = z["in_labels"].bool()
    close(torch.where(label[:, None, None, None], z["in_image"], z["in_false_image"]), z["out_mixed_image"])
    assert f.matched_half(torch.rand(len(label))).sum() == label.sum() == z["out_num_positive"]
    x = leaf(z["in_cls_feats"])
    logits = linear(x, z["w_fc_weight"], z["w_fc_bias"])
    close(logits.detach(), z["out_logits"])
    loss = cross_entropy(logits, label.long())
    close(loss.detach(), z["out_loss"])
    loss.backward()
    close(x.grad, z["out_grad_cls_feats"])


@pytest.mark.parametrize("name", ["mlm_0", "mlm_1"])
def test_mlm(name: str, dtype: torch.dtype) -> None:
    """The head runs on the labelled positions only; surplus ones carry the ignored label."""
    z = golden(name, dtype)
    x, labels = leaf(z["in_text_feats"]), z["in_labels"]
    index, ok = f.mask_to_indices(labels != -100, labels.shape[1] - 1)
    wanted = torch.where(ok, f.gather_tokens(labels, index), -100)
    assert ok.sum() == z["out_num_masked"]
    h = gelu(linear(f.gather_tokens(x, index), z["w_dense_weight"], z["w_dense_bias"]))
    h = layer_norm(h, h.shape[-1:], z["w_ln_weight"], z["w_ln_bias"], z["in_layer_norm_eps"].item())
    logits = linear(h, z["w_decoder_weight"], z["w_decoder_bias"])
    close(logits.detach()[ok], z["out_logits"][labels != -100])
    loss = cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum") / ok.sum()
    close(loss.detach(), z["out_loss"])
    loss.backward()
    close(x.grad, z["out_grad_text_feats"])


@pytest.mark.parametrize("name", ["mgsc_0", "mgsc_1"])
def test_mgsc(name: str, dtype: torch.dtype) -> None:
    z = golden(name, dtype)
    image, text, tau = leaf(z["in_pred_image_cls"]), leaf(z["in_pred_text"]), z["in_temperature"]
    of_image = complete(image, z["in_target_image_cls"], tau)
    of_text = complete(text[:, 0], z["in_target_text"][:, 0], tau)
    close(of_image.detach(), z["out_loss_global_image"])
    close(of_text.detach(), z["out_loss_global_text"])
    close((of_image + of_text).detach(), z["out_loss"])
    (of_image + of_text).backward()
    close(image.grad, z["out_grad_pred_image_cls"])
    close(text.grad, z["out_grad_pred_text"])


@pytest.mark.parametrize("name", ["mltc_2", "mltc_3"])
def test_mltc(name: str, dtype: torch.dtype) -> None:
    z = golden(name, dtype)
    tau = z["in_temperature"]
    image, tokens, text = (leaf(z[f"in_pred_{x}"]) for x in ("image_cls", "image_tokens", "text"))
    terms = {
        "global_image": complete(image, z["in_target_image_cls"], tau),
        "global_text": complete(text[:, 0], z["in_target_text"][:, 0], tau),
        "local_image": complete_masked(tokens, z["in_target_image_tokens"], z["in_image_mask"], tau),
        "local_text": complete_masked(text, z["in_target_text"], z["in_text_mask"], tau),
    }
    for key, value in terms.items():
        close(value.detach(), z[f"out_loss_{key}"])
    weight = z["in_local_weight"]
    loss = sum(value * (weight if key.startswith("local") else 1) for key, value in terms.items())
    close(loss.detach(), z["out_loss"])
    loss.backward()
    close(image.grad, z["out_grad_pred_image_cls"])
    close(tokens.grad, z["out_grad_pred_image_tokens"])
    close(text.grad, z["out_grad_pred_text"])


@pytest.mark.parametrize("number", range(4))
def test_text_mask(number: int) -> None:
    z = golden(f"text_mask_{number}")
    ids, draws = z["in_input_ids"], z["in_draws"]
    length, ratio = z["in_attention_mask"].sum(1), z["in_ratio"].item()
    assert torch.equal(f.num_text_draws(length, ratio), z["out_num_draws"])
    assert torch.equal((draws >= 0).sum(1), z["out_num_draws"])
    mask = f.indices_to_mask(draws, ids.shape[1], draws >= 0)
    assert torch.equal(mask, z["out_mask"])
    assert torch.equal(torch.where(mask, z["in_mask_token_id"], ids), z["out_ids"])


def test_counts() -> None:
    z = golden("counts_0")
    ratios, text_ratios = z["in_ratios"].tolist(), z["in_text_ratios"].tolist()
    for i, n in enumerate(z["in_num_patches"].tolist()):
        assert [f.num_kept(n, ratio) for ratio in ratios] == z["out_kept_after_drop"][i].tolist()
        assert [f.num_replaced(n, ratio) for ratio in ratios] == z["out_num_replaced"][i].tolist()
    lengths = z["in_text_lengths"]
    for j, ratio in enumerate(text_ratios):
        expected = z["out_num_text_draws"][:, j]
        assert [f.num_text_draws(length, ratio) for length in lengths.tolist()] == expected.tolist()
        assert torch.equal(f.num_text_draws(lengths, ratio), expected)


@pytest.mark.parametrize("name", ["vision_0", "vision_1", "vision_image_0", "vision_image_1"])
def test_dropped_patches(name: str) -> None:
    """What is left of the embedded patches, in the published order; the same positions in every frame."""
    z = golden(name)
    noise = z["in_noise"]
    frames = z["in_frames"].shape[1] if "in_frames" in z else 1
    whole = z.get("out_embed")
    left = z["out_embed_masked"] if "out_embed_masked" in z else z["out_embed_dropped"]
    ratio = (z["in_mask_ratio"] if "in_mask_ratio" in z else z["in_drop_ratio"]).item()
    keep = f.keep_indices(noise, f.num_kept(noise.shape[1], ratio))
    left = left.unflatten(1, (frames, 1 + keep.shape[1]))
    if whole is None:
        # No clean embedding in these files, but one with patches replaced: compare where none was.
        whole = z["out_embed_replaced"]
        changed = f.indices_to_mask(z["in_replace_indices"], noise.shape[1])
        assert torch.equal(changed, z["out_replace_mask"].bool())
        same = ~f.gather_tokens(changed, keep)
    else:
        same = torch.ones_like(keep, dtype=torch.bool)
    assert same.any()
    whole = whole.unflatten(1, (frames, 1 + noise.shape[1]))
    for frame in range(frames):
        close(f.gather_tokens(whole[:, frame, 1:], keep)[same], left[:, frame, 1:][same])
