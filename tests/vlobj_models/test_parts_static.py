"""What the host relies on in every part: no host sync, no data-dependent shape, half precision, recomputation, no RNG
of its own in evaluation, and a constructor that runs without memory."""

from collections.abc import Callable

import pytest
import torch
from small_inputs import ALL, PLAIN, captions, kept, pictures, replaced, words
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint
from vlobj_models.co_attention import CoAttention
from vlobj_models.hf_text import HFText
from vlobj_models.projection import JointProjection
from vlobj_models.timm_vision import TimmVision
from vlobj_models.vocabulary_head import VocabularyHead

from vlobjectives import MaskSample, RequestedOutputs, Tokens

KINDS = ("roberta-prelayernorm", "bert", "distilbert")
FRAMES = 2


class Tower(nn.Module):
    """All parts, one after the other, as a plan would run them."""

    def __init__(self, kind: str = "roberta-prelayernorm", stem: str = "conv"):
        super().__init__()
        sizes = (
            {"dim": 16, "n_layers": 1, "n_heads": 2}
            if kind == "distilbert"
            else {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        )
        self.vision = TimmVision(
            TimmVision.Config(patch=4, width=16, depth=2, heads=2, stem=stem, out=24), pictures(16, FRAMES)
        )
        self.text = HFText(HFText.Config(config={"model_type": kind, **sizes}), words())
        self.fusion = CoAttention(
            CoAttention.Config(width=16, depth=2, heads=2, dropout=0.1), self.vision.spec, self.text.spec
        )
        self.joint = JointProjection(
            JointProjection.Config(width=8, layers="mlp", pool="mean"), self.vision.spec, self.text.spec
        )
        self.words = VocabularyHead(VocabularyHead.Config(), self.text.spec)

    def forward(
        self,
        x: Tensor,
        tokens: Tokens,
        draw: MaskSample | None,
        want: RequestedOutputs = PLAIN,
        call: Callable = lambda part, *given: part(*given),
    ) -> Tensor:
        image, text = call(self.vision, x, draw, want), call(self.text, tokens, None, want)
        fused = call(self.fusion, image, text, want)
        sides = [call(self.joint, side, of, want) for side, of in ((image, "image"), (text, "text"))]
        logits = call(self.words, fused.text.tokens)
        return (
            logits.float().logsumexp(-1).mean()
            + (sides[0].pooled @ sides[1].pooled.T * sides[0].scale).sum()
            + fused.pooled.float().sum()
            + fused.image.tokens.float().pow(2).mean()
        )


def inputs(fill: str | None = None) -> tuple[Tensor, Tokens, MaskSample | None]:
    generator = torch.Generator().manual_seed(0)
    index = torch.arange(0, 32, 2).expand(3, -1)
    draw = {None: None, "drop": kept(index, 32), "token": replaced(index, 32)}[fill]
    return torch.randn(3, FRAMES, 3, 16, 16, generator=generator), captions(), draw


def tower(**config) -> Tower:
    torch.manual_seed(0)
    return Tower(**config)


fills = pytest.mark.parametrize("fill", [None, "drop", "token"])


CASES = [(kind, want, fill) for kind in KINDS for want in ("plain", "all") for fill in (None, "drop", "token")]
FEW = [(KINDS[0], "plain", None), (KINDS[0], "all", "drop"), (KINDS[0], "all", "token")]
FEW += [(kind, "all", "drop") for kind in KINDS[1:]]
"""Every value of each, and what is most; the product is slow."""


@pytest.mark.parametrize(
    ("kind", "want", "fill"),
    [case if case in FEW else pytest.param(*case, marks=pytest.mark.slow) for case in CASES],
)
def test_forward_and_backward_on_fake_tensors(kind: str, want: str, fill: str | None):
    with torch.device("meta"):
        whole = Tower(kind)
    x, tokens, draw = inputs(fill)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = {name: nn.Parameter(torch.empty(p.shape)) for name, p in whole.named_parameters()}
        fake |= {name: mode.from_tensor(torch.empty(b.shape, dtype=b.dtype)) for name, b in whole.named_buffers()}
        given = [mode.from_tensor(x), tokens.map(mode.from_tensor), draw and draw.map(mode.from_tensor)]
        loss = torch.func.functional_call(whole, fake, (*given, {"plain": PLAIN, "all": ALL}[want]))
        loss.backward()
    assert loss.shape == () and fake["vision.module.pos_embed"].grad is not None


@fills
def test_every_parameter_is_reached(fill: str | None):
    whole = tower()
    whole(*inputs(fill)).backward()
    silent = {name for name, parameter in whole.named_parameters() if parameter.grad is None}
    assert silent == (set() if fill == "token" else {"vision.mask_token"})


@fills
def test_bfloat16_is_near(fill: str | None):
    whole = tower().eval()
    exact = whole(*inputs(fill))
    with torch.autocast("cpu", torch.bfloat16):
        near = whole(*inputs(fill))
    near.backward()
    assert near.dtype == torch.float32 and abs(near - exact) < 0.05 * abs(exact)
    assert all(
        p.grad is None or (p.grad.dtype == torch.float32 and p.grad.isfinite().all()) for p in whole.parameters()
    )


@fills
def test_recomputing_parts_changes_no_gradient(fill: str | None):
    """With dropout, which recomputation repeats."""
    found = []
    for call in (lambda part, *given: part(*given), lambda part, *given: checkpoint(part, *given, use_reentrant=False)):
        whole = tower()
        torch.manual_seed(1)
        whole(*inputs(fill), call=call).backward()
        found.append({name: p.grad for name, p in whole.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize(
    "part", ["text", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vision", "fusion", "joint"))]
)
def test_a_part_compiles_whole(part: str):
    """Without a graph break, keeping its parameters' names."""
    whole = tower().eval()
    names = list(whole.state_dict())
    expected = whole(*inputs("drop"))
    getattr(whole, part).compile(fullgraph=True, backend="aot_eager")
    found = whole(*inputs("drop"))
    assert abs(found - expected) < 1e-5 * abs(expected) and list(whole.state_dict()) == names


def test_evaluation_draws_no_random_number():
    whole = tower().eval()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    whole(*inputs("token"), ALL)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@fills
def test_the_gpu_computes_the_same_without_a_sync(fill: str | None):
    x, tokens, draw = inputs(fill)
    whole = tower().eval()
    expected = whole(x, tokens, draw)
    whole, given = whole.cuda(), (x.cuda(), tokens.to("cuda"), draw and draw.to("cuda"))
    whole(*given)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = whole(*given)
        found.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert abs(found.cpu() - expected) < 1e-3 * abs(expected)
