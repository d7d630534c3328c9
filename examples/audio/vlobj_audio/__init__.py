"""Sounds with captions in place of pictures; each component in a file of its own, imported when a recipe names it."""

from collections.abc import Mapping

from vlobjectives import hookimpl


@hookimpl
def vlobj_components() -> Mapping[str, str]:
    return {
        "source:sounds": "vlobj_audio.sounds:Sounds",
        "reader:log_mel": "vlobj_audio.log_mel:LogMel",
        "encoder:spectrogram_transformer": "vlobj_audio.spectrogram_transformer:SpectrogramTransformer",
        "mask:random_bands": "vlobj_audio.random_bands:RandomBands",
    }
