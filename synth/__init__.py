"""Synthetic CT from words: volumes, masks, reports and the plan that reproduces them.

    import synth
    case = synth.generate("chest CT with a 2 cm nodule in the right upper lobe", seed=1)
    case.ct.hu, case.organs.mask("heart"), case.lesions, case.report.text(), case.show()

`generate`, `insert`, `read`, `scan`, `radiograph`, `load_case`, `load_cohort`, `SynthCTPipeline` and `evaluate`:
docs/python.md.
"""

from importlib import import_module
from typing import Any

from synth.environment import name_the_user, quiet_plots

__version__ = "0.1.0"

name_the_user()
quiet_plots()

# Imported when they are asked for: `import synth` takes no torch.
_HOMES = {
    **dict.fromkeys(("load_cohort", "CohortDataset", "CohortStream", "ReadCase"), "synth.cohort.load"),
    **dict.fromkeys(("generate", "insert", "read"), "synth.api.calls"),
    **dict.fromkeys(("adopt", "generate_with"), "synth.api.foreign"),
    **dict.fromkeys(("scan", "radiograph"), "synth.api.scanning"),
    **dict.fromkeys(("OpenCase", "load_case"), "synth.api.opened"),
    "SynthCTPipeline": "synth.api.hub",
}


def __getattr__(name: str) -> Any:
    if name == "evaluate":
        return import_module("evals.calls")
    if name not in _HOMES:
        raise AttributeError(f"module 'synth' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*_HOMES, "evaluate", "__version__"]
