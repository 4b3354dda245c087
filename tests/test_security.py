"""No module of ours runs what it reads: no pickle, no shell, no eval; and SECURITY.md says so."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_BARRED = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "__import__"}
_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# starts the command anew with a list of arguments, never a shell; TorchScript is read where the user trusts the file
_MAY = {"torch.jit.load": {"evals/networks.py"}}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call, by the words of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def wrong_in(text: str, file: str = "x.py") -> list[str]:
    """What a module's text does that it must not."""
    tree, found = ast.parse(text), []
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        found += [f"imports {name}" for name in names if name.split(".")[0] in _MODULES]
    for name, call in calls(tree):
        options = {option.arg: ast.unparse(option.value) for option in call.keywords}
        if name in _BARRED or (name in _MAY and file not in _MAY[name]):
            found.append(f"calls {name}")
        if name.endswith("torch.load") and options.get("weights_only") != "True":
            found.append("calls torch.load without weights_only")
        if options.get("allow_pickle") == "True" or options.get("shell") == "True":
            found.append(f"{name} with {options}")
        if options.get("trust_remote_code") == "True":
            found.append(f"{name} runs code of a model's folder")
        if name.endswith(".from_pretrained") and "Tokenizer" not in name and options.get("use_safetensors") != "True":
            found.append(f"{name} without use_safetensors")
    return found


@pytest.mark.parametrize("package", ["prompts", "synth", "evals", "studies"])
def test_no_module_runs_what_it_reads(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = {(name := file.relative_to(ROOT).as_posix()): wrong_in(file.read_text(), name) for file in files}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "exec('1')",
        "os.system('ls')",
        "yaml.load(text)",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "np.load(file, allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
        "AutoModel.from_pretrained(path)",
        "AutoModel.from_pretrained(path, use_safetensors=True, trust_remote_code=True)",
        "torch.jit.load(file)",
    ],
)
def test_the_check_sees_each_of_them(line: str) -> None:
    assert wrong_in(line)


def test_the_policy_names_every_format_and_how_to_report() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    for word in ("NIfTI", "DICOM", "YAML", "CSV", ".npz", "safetensors", "TorchScript", "How to report"):
        assert word in text
