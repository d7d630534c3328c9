"""What recipes of published size write out, read off the recipe as a run would have it."""

import pytest

from vlobjectives.recipe.loading import load


@pytest.mark.parametrize("name, resize, scale", [("glscl_base", "squash", [0.8, 1.0]), ("sycoca_base", None, None)])
def test_pictures_are_framed_as_published(name, resize, scale):
    """GLSCL squeezes held-out pictures; open_clip cuts out the middle, which is the default. Both are bicubic."""
    [source] = load(name).recipe.sources.values()
    assert source.options["interpolation"] == "bicubic" and source.options["augment"] == "crop"
    assert source.options.get("resize") == resize and source.options.get("scale") == scale


def test_mvptr_clips_as_the_published_example():
    recipe = load("mvptr_base").recipe
    assert recipe.optim.clip == 10.0
    [source] = recipe.sources.values()
    assert source.options["pictures"] is False, "no part reads them, so none is decoded"
