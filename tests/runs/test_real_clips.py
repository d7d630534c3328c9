"""A run on real clips: the line that glscl_video.yaml names, on the ten clips of the shared data, made small."""

import json
from pathlib import Path

import pytest

from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.runs import train_run
from vlobjectives.runtime.log import Log

CLIPS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "clips"
SMALL = (
    "run.steps=4",
    "run.device=cpu",
    "run.checkpoint={steps: 4}",
    "optim.schedule.warmup=0",
    "data.batch=4",
    "data.samples=32",
    "data.val=0",
    "data.test=8",
    "model.vision.width=32",
    "model.vision.depth=1",
    "model.vision.heads=2",
    "model.joint.width=24",
    "model.text.config.hidden_size=32",
    "model.text.config.num_hidden_layers=1",
    "model.text.config.num_attention_heads=2",
    "model.text.config.intermediate_size=64",
    "model.fusion.width=32",
    "model.fusion.depth=1",
    "model.fusion.heads=2",
    "objectives.itm.weight=1",
    "objectives.mlm.weight=1",
    "objectives.mgsc.weight=1",
    "objectives.mltc.weight=1",
    "evaluate={losses: true, rerank: false, itm: false, words: false, completion: false, retrieval: {gallery: 8}}",
)


@pytest.mark.skipif(not CLIPS.is_dir(), reason=f"no clips at {CLIPS}")
def test_real_clips_beside_scenes(tmp_path):
    films = (
        f"data.mix={{clips: null, films: {{type: video_captions, manifest: {CLIPS / 'msrvtt_clips_small.json'}, "
        f"videos: {CLIPS / 'videos'}, captions: one, image_size: 64, rename: {{clip: image}}}}}}"
    )
    summary = train_run.run(
        resolve(load("glscl_video", (films, *SMALL)), Registry()), tmp_path / "run", Log(first=False), False
    )
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["source"] for row in rows] == ["pictures", "films", "pictures", "films"]
    assert {name.split("/")[0] for name in rows[1]["terms"]} == {"itc", "itm", "mlm", "mgsc"}
    assert all(term["count"] > 0 for row in rows for term in row["terms"].values())
    assert summary["motion/films.test/reversed"]["n"] == 2 and "retrieval/pictures.test/text_to_image/r1" in summary
