"""The report on the mutation tests, whose exit code is what a nightly run goes by."""

from __future__ import annotations

from tests.support.mutants import by_module, report, share_noticed

RESULTS = """
    podrunner.a.x_one__mutmut_1: killed
    podrunner.a.x_one__mutmut_2: timeout
    podrunner.a.x_one__mutmut_3: survived
    podrunner.a.xǁThingǁtwo__mutmut_1: no tests
    podrunner.b.x_three__mutmut_1: not checked
""".splitlines()


def test_what_is_not_noticed_counts_against_its_module():
    modules = by_module(RESULTS)
    assert {name: share_noticed(mutants) for name, mutants in modules.items()} == {"podrunner.a": 0.5}
    shown = report(modules)
    assert " 50.0% of    4 noticed: podrunner.a" in shown
    assert "1 survived: one" in shown
    assert "1 no tests: xǁThingǁtwo" in shown


def test_a_mutant_that_was_not_tried_counts_neither_way():
    """A run may be limited to one module."""
    assert "podrunner.b" not in by_module(RESULTS)
