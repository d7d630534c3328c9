"""`vlobj caption`: what a run's decoder writes about pictures."""

import re
from pathlib import Path
from typing import Annotated

import typer

from vlobjectives.cli.options import Trust
from vlobjectives.cli.printing import show_data


def caption(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...",
            help="Pictures; and data.KEY=PATH where the run's data lies elsewhere now.",
            show_default=False,
        ),
    ],
    beams: Annotated[
        int,
        typer.Option(
            "--beams",
            metavar="N",
            min=1,
            help="Texts that beam search keeps at each step; 1 is greedy search.",
        ),
    ] = 1,
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a caption for each picture with the newest checkpoint of a run that trained a decoder of captions."""
    from vlobjectives import api

    moved = [str(word) for word in images if re.match(r"data(\.\w+)+=", str(word)) and not word.exists()]
    images = [image for image in images if str(image) not in moved]
    texts = api.load(run, *moved, trust=trust).write_texts(images, beams)
    if as_json:
        show_data([{"image": str(image), "caption": text} for image, text in zip(images, texts)])
        return
    for image, text in zip(images, texts):
        print(f"{image}: {text}")
