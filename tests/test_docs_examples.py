"""Examples in the documents: every command has the options that it names, and what job pages show to run runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from synth.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/jobs").glob("*.md"))]
JOBS = sorted((ROOT / "docs/jobs").glob("*.md"))


def code_lines(text: str) -> list[str]:
    """The lines of indented and fenced code, those that go on after a backslash joined."""
    fenced = re.findall(r"```(?:bash|sh)?\n(.*?)```", text, flags=re.DOTALL)
    indented = re.findall(r"(?:^    .*\n)+", text, flags=re.MULTILINE)
    return re.sub(r"\\\n\s*", " ", "\n".join([*fenced, *indented])).splitlines()


def commands(text: str) -> list[list[str]]:
    """The arguments of each `synthct` in a text's code, without comments and what is said after four blanks."""
    found = []
    for line in code_lines(text):
        match = re.match(r"(?:\.venv/bin/)?synthct (.*)", re.split(r"\s{4,}|\s#\s", line.strip())[0])
        if match:
            found.append(shlex.split(match[1]))
    return found


def wrong_in(arguments: list[str]) -> str | None:
    """What the parser of a command says of arguments that it does not know; nothing is run."""
    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="synthct")
    rest = list(arguments)
    while hasattr(command, "get_command"):
        if not rest or rest[0].startswith("-"):
            return None
        name = rest.pop(0)
        if (inner := command.get_command(context, name)) is None:
            return f"no command {name}"
        command, context = inner, inner.context_class(inner, info_name=name, parent=context)
    try:
        command.make_parser(context).parse_args(args=rest)
    except Exception as error:  # typer carries a click of its own
        return str(getattr(error, "message", error)) or type(error).__name__
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_have_commands_and_options_that_exist(page: Path) -> None:
    assert [(line, wrong) for line in commands(page.read_text()) if (wrong := wrong_in(line))] == []


def test_a_wrong_example_is_seen() -> None:
    assert commands("```bash\nsynthct generate A \\\n  --sead 1\n```\n") == [["generate", "A", "--sead", "1"]]
    assert wrong_in(["generate", "a prompt", "--sead", "1"])
    assert wrong_in(["generat", "a prompt"])
    assert wrong_in(["evaluate", "agreement", "--case", "x", "--nothing"])
    assert wrong_in(["generate", "a prompt", "--seed", "1"]) is None
    assert sum(len(commands(page.read_text())) for page in PAGES) > 50


@pytest.mark.slow
@pytest.mark.parametrize("page", JOBS, ids=lambda page: page.stem)
def test_a_job_runs_as_its_page_says(page: Path, tmp_path: Path) -> None:
    script = "".join(re.findall(r"```bash\n(.*?)```", page.read_text(), flags=re.DOTALL))
    assert script
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "HOME": str(tmp_path), "SYNTHCT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_links_lead_to_files_that_are_there() -> None:
    wrong = []
    for page in [*PAGES, *(ROOT / "docs/studies").rglob("*.md"), ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if not link.startswith(("http:", "https:", "mailto:")) and not (page.parent / link).exists():
                wrong.append(f"{page.relative_to(ROOT)}: {link}")
    assert wrong == []


def test_every_page_is_in_the_site_once() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    listed = list(_pages(nav))
    there = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").glob("*.md")}
    there |= {p.relative_to(ROOT / "docs").as_posix() for p in JOBS}
    assert sorted(there - set(listed)) == [], "pages that `nav` of mkdocs.yml lacks"
    assert len(listed) == len(set(listed))
    assert all((ROOT / "docs" / page).is_file() for page in listed)


def _pages(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    inner = nav if isinstance(nav, list) else list(nav.values()) if isinstance(nav, dict) else []
    return [page for one in inner for page in _pages(one)]
