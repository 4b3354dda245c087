"""Bars on a terminal, nothing anywhere else, and steps that work the same with and without them."""

from __future__ import annotations

import io
import sys

import pytest

from synth.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(quiet: bool = False) -> None:
    with Progress(quiet) as progress, progress.step("cases", 2) as outer:
        for _ in range(2):
            with progress.step("base", 16) as step:
                step.advance(10)
                step.advance(6)
            outer.advance()


def test_nothing_is_written_where_stderr_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    run()
    assert capfd.readouterr() == ("", "")


def test_bars_show_name_and_count_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run()
    assert "cases" in terminal.getvalue() and "2/2" in terminal.getvalue() and "16/16" in terminal.getvalue()


def test_quiet_is_quiet_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(quiet=True)
    assert terminal.getvalue() == ""


def test_an_error_inside_a_step_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(ZeroDivisionError), Progress() as progress, progress.step("base", 1):
        raise ZeroDivisionError
