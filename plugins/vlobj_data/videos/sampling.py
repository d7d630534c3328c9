"""Which frames of a clip are shown."""

import random


def frame_numbers(count: int, frames: int, draw: random.Random | None = None) -> list[int]:
    """`frames` numbers of 0..count-1 in order, one of each of as many equal segments.

        middle   floor((f + 1/2) count / frames)
        random   floor((f + u_f) count / frames),  u_f in [0, 1)         (`draw` gives the u_f)

    Segments as TSN has them (Wang et al. 2016); in training random, as published for GLSCL's clips. A clip of fewer
    frames than are wanted shows some of them more than once.
    """
    where = [draw.random() if draw else 0.5 for _ in range(frames)]
    return [min(int((f + u) * count / frames), count - 1) for f, u in enumerate(where)]
