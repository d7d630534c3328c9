"""`vlobj caption`: what a run's decoder writes about pictures."""

from pathlib import Path
from typing import Annotated

import typer

from vlobjectives.cli.printing import show_data


def caption(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.", show_default=False)],
    beams: Annotated[int, typer.Option("--beams", metavar="N", min=1, help="Beginnings that are kept while searching; "
                                       "1 takes the likeliest word each time.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print data.")] = False,
) -> None:
    """Write a caption for each picture with the newest checkpoint of a run that trained a decoder of captions."""
    from vlobjectives.running import door
    texts = door.load(run).write_texts(images, beams)
    if as_json:
        show_data([{"image": str(image), "caption": text} for image, text in zip(images, texts)])
        return
    for image, text in zip(images, texts):
        print(f"{image}: {text}")
