"""podrunner's pods and those of Airflow's own provider: only the differences of the table remain."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from tests.airflow_parity.compare import compared
from tests.airflow_parity.differences import DIFFERENCES
from tests.airflow_parity.drawn import cases
from tests.airflow_parity.named import NAMED
from tests.airflow_parity.recorded import SAMPLE, answers, repeatable
from tests.airflow_parity.shapes import SHAPES, answer_of_shape, line_of_shape, shape
from tests.airflow_parity.tally import PODS, SEEN

DRAWN = 300


def check(airflow, line, case):
    answer = airflow.answer(case)
    result = compared(case, line, answer)
    SEEN[line].update([PODS, *result.named])
    assert result.remaining is None


@pytest.mark.parametrize("case", NAMED, ids=lambda case: case.name)
def test_a_named_case(airflow, line, case):
    check(airflow, line, case)


@pytest.mark.timeout(600)
def test_any_case(airflow, line):
    @settings(
        max_examples=DRAWN,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def on(case):
        check(airflow, line, case)

    on()


def test_each_difference_is_there(line):
    """A row of the table that no case needs is gone from the code, and must go from the table."""
    assert [row.name for row in DIFFERENCES if row.name not in SEEN[line]] == []


def test_the_recorded_answers_are_those_of_the_provider(airflow, line):
    """Else record them anew: ``nox -s airflow-parity -- --record``."""
    recorded = answers(line)
    assert {case.name: repeatable(airflow.answer(case)) for case in SAMPLE[line]} == recorded
    for folder in sorted(SHAPES.iterdir()):
        if line_of_shape(folder) == line:
            assert repeatable(airflow.answer(shape(folder))) == answer_of_shape(folder)
