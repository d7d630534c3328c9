"""Vision-language pre-training objectives as plug-ins: declare views, and each distinct pass is computed once."""

from importlib import import_module

_HOME = {
    "balancer": ["Balancer", "StepLosses"],
    "config": [
        "BalancerConfig",
        "Config",
        "EvaluationConfig",
        "FieldName",
        "InputName",
        "MaskConfig",
        "MaskName",
        "ObjectiveConfig",
        "ObjectiveName",
        "PairingConfig",
        "PairingName",
        "PartConfig",
        "PartName",
        "ReaderConfig",
        "SourceConfig",
        "Substitute",
        "TrackerConfig",
    ],
    "batch": ["Batch", "Labels", "Rows", "Tokens", "Vectors"],
    "evaluation": ["Evaluation", "EvaluationContext", "Score", "accuracy"],
    "field": ["FieldSpec"],
    "hooks": ["Run", "hookimpl"],
    "hub": ["hub_asked", "hub_missing"],
    "mask": ["Mask", "MaskTarget"],
    "naming": ["Needs"],
    "noise": ["Noise"],
    "numbers": [
        "Amount",
        "Batched",
        "Depth",
        "Epsilon",
        "Frames",
        "Heads",
        "Ids",
        "Kept",
        "Layer",
        "Length",
        "Rate",
        "Ratio",
        "Samples",
        "Seed",
        "Share",
        "Side",
        "Spread",
        "Steps",
        "Temperature",
        "Width",
    ],
    "objective": ["Objective", "GenerationSpec"],
    "pairing": ["Pairing"],
    "paths": ["PathName", "PathOrName"],
    "parts": [
        "CannotBuild",
        "Decoder",
        "Encoder",
        "Fusion",
        "Head",
        "Part",
        "KeyValueCache",
        "Projection",
        "Spec",
    ],
    "reader": ["TokenEncoding", "Reader"],
    "roles": [
        "AnswersQuestions",
        "FeatureRecovery",
        "GeneratesText",
        "GroundsPhrases",
        "JudgesPairs",
        "NamesConcepts",
        "PartOf",
        "PredictsTokens",
        "ReconstructsPixels",
        "RecoversClass",
        "RecoversTokens",
    ],
    "source": ["UnusableSample", "DataSummary", "Flaw", "Sample", "Source", "ContrastPair"],
    "tracker": ["Tracker"],
    "values": ["MaskSample", "Encoded", "Fused", "Joint", "Pairs", "StepRows", "StepSum", "Term", "not_none"],
    "views": [
        "DecodedView",
        "EncodedView",
        "FusedView",
        "Input",
        "JointView",
        "RequestedOutputs",
        "View",
        "ViewError",
        "decoded",
        "encoded",
        "fused",
        "joint",
    ],
}
_MODULE = {name: f"vlobjectives.contracts.{module}" for module, names in _HOME.items() for name in names}
_MODULE |= {"build": "vlobjectives.api", "load": "vlobjectives.api"}
_MODULE |= {"sum_gradients": "vlobjectives.runtime.distributed"}

__all__ = sorted(_MODULE)
__version__ = "0.2.0"


def __getattr__(name: str):
    if name not in _MODULE:
        return import_module("vlobjectives.deprecated").attribute(__name__, name)
    value = getattr(import_module(_MODULE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
