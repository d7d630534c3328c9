"""Splits that the names of shards and folders say, as Hugging Face's and WebDataset's sets name them."""

import re
from pathlib import Path

SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"} | {
    name: "test" for name in ("test", "testing")
}
"""Words of names -> the split that they mean."""


def split_of(path: Path) -> str | None:
    """The split of a file that is called `train-00000-of-00004.parquet`, `cc3m-train-0000.tar`, or lies in `train/`.

    A folder of a saved DatasetDict is called as its split is. None where its name, and its folder's, say none.
    """
    if (path.parent.parent / "dataset_dict.json").is_file():
        return SPLITS.get(path.parent.name, path.parent.name)
    found = {SPLITS[word] for word in re.split(r"[^a-z]+", path.stem.lower()) if word in SPLITS}
    return found.pop() if len(found) == 1 else SPLITS.get(path.parent.name.lower())
