"""An encoder of spectrograms."""

from collections.abc import Mapping

import torch
from pydantic import Field
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from vlobjectives import (
    Depth,
    Encoded,
    Encoder,
    FieldSpec,
    Heads,
    MaskSample,
    PartConfig,
    RequestedOutputs,
    Spec,
    Width,
)
from vlobjectives.functional import gather_tokens


class SpectrogramTransformer(Encoder):
    """Transformer over the patches of a spectrogram, with a class token.

    x [B,bands,T] -> tokens [B,N,D], patches band by band from low to high, each row in order of time; cls [B,1,D].
    Blocks as in AST (arXiv 2104.01778), patches without overlap. Fills: `drop`, `token`, `pixels` (hidden by the host).
    """

    paper = "AST, arXiv 2104.01778"
    spare = frozenset({"mask_token"})

    class Config(PartConfig):
        patch: tuple[int, int] = Field((4, 8), description="bands and windows of a patch")
        width: Width = Field(description="D")
        depth: Depth = Field(description="blocks")
        heads: Heads = Field(description="attention heads; they divide the width")

        def tiny(self) -> "SpectrogramTransformer.Config":
            return SpectrogramTransformer.Config(patch=self.patch, width=16, depth=1, heads=2)

    def __init__(self, config: Config, fields: Mapping[str, FieldSpec]):
        super().__init__(config, fields)
        spec = next(iter(fields.values()), None)
        if len(fields) != 1 or spec is None or spec.kind != "spectrogram":
            raise self.cannot(f"it reads one spectrogram, not {', '.join(fields) or 'nothing'}")
        (bands, windows), (high, wide) = spec.shape, config.patch
        if bands % high or windows % wide or config.width % config.heads:
            raise self.cannot(
                f"patches of {high} x {wide} do not divide {bands} bands x {windows} windows"
                if bands % high or windows % wide
                else f"{config.heads} heads do not divide the width {config.width}"
            )
        grid, width = (bands // high, windows // wide), config.width
        self.embed = nn.Conv2d(1, width, config.patch, config.patch)
        self.cls = nn.Parameter(torch.randn(width) * 0.02)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.positions = nn.Parameter(torch.randn(grid[0] * grid[1], width) * 0.2)
        self.blocks = nn.ModuleList(Block(width, config.heads, qkv_bias=True) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.spec = Spec(
            width,
            length=grid[0] * grid[1],
            grid=grid,
            patch_size=config.patch,
            classes=1,
            fields=dict(fields),
            can=frozenset({"drop", "token", "pixels", "stack"}),
        )

    def forward(self, x: Tensor, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        tokens = self.embed(x[:, None]).flatten(2).transpose(1, 2)
        if draw is not None and draw.fill == "token":
            tokens = torch.where(draw.hidden[..., None], self.mask_token.to(tokens.dtype), tokens)
        tokens = tokens + self.positions
        if draw is not None and draw.keep is not None:
            tokens = gather_tokens(tokens, draw.keep)
        tokens = torch.cat([self.cls.expand(len(tokens), 1, -1).to(tokens.dtype), tokens], 1)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        valid = torch.ones(tokens.shape[0], tokens.shape[1] - 1, dtype=torch.bool, device=tokens.device)
        return Encoded(tokens[:, 1:], valid, cls=tokens[:, :1], draw=draw)
