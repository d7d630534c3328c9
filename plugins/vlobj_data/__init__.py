"""Sources of samples and the readers that turn their columns into numbers."""

from collections.abc import Mapping

from vlobjectives import hookimpl


@hookimpl
def vlobj_components() -> Mapping[str, str]:
    return {
        "source:scenes": "vlobj_data.scenes.scenes:Scenes",
        "source:captions": "vlobj_data.captions.captions:Captions",
        "source:video_captions": "vlobj_data.videos.videos:VideoCaptions",
        "reader:byte_pair": "vlobj_data.byte_pair:BytePair",
        "reader:hugging_face": "vlobj_data.hugging_face:HuggingFace",
    }
