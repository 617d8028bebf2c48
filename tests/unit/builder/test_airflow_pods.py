"""F1: worker pods of Airflow 2 and 3 are those that Airflow's own provider makes, but for the named differences.

The provider's answers are recorded (``tests/airflow_parity``); ``nox -s airflow-parity`` asks the provider itself.
"""

from __future__ import annotations

import pytest
from kubernetes import client
from podrunner.errors import SpecError
from tests.airflow_parity.compare import compared, pod_by_podrunner
from tests.airflow_parity.named import NAMED
from tests.airflow_parity.recorded import SAMPLE, answers
from tests.airflow_parity.shapes import SHAPES, answer_of_shape, line_of_shape, shape

OVERRIDDEN = [case for case in NAMED if case.pod_override]
CASES = [(line, case) for line, cases in SAMPLE.items() for case in cases]
ANSWERS = {line: answers(line) for line in SAMPLE}


@pytest.mark.parametrize(("line", "case"), CASES, ids=[f"{line}-{case.name}" for line, case in CASES])
def test_a_recorded_pod(line, case):
    """F1, F2, F3: template, then Airflow's part, then the override."""
    assert compared(case, line, ANSWERS[line][case.name]).remaining is None


@pytest.mark.parametrize("folder", sorted(SHAPES.iterdir()), ids=lambda folder: folder.name)
def test_a_shape(folder):
    """F1: the configurations and templates that users have."""
    assert compared(shape(folder), line_of_shape(folder), answer_of_shape(folder)).remaining is None


@pytest.mark.parametrize("case", OVERRIDDEN, ids=lambda case: case.name)
def test_a_model_of_the_client_gives_the_pod_of_its_manifest(case):
    """What DAGs hold is a ``V1Pod``."""
    assert pod_or_refusal(case, model=as_model) == pod_or_refusal(case)


def as_model(manifest):
    """Return the client's model of a manifest: from version 36 on models make themselves, before an ApiClient did."""
    if hasattr(client.V1Pod, "from_dict"):
        return client.V1Pod.from_dict(manifest)
    return client.ApiClient._ApiClient__deserialize(
        client.ApiClient.__new__(client.ApiClient), manifest, "V1Pod"
    )


def pod_or_refusal(case, **model):
    try:
        return pod_by_podrunner(case, "2.11.2", **model)
    except SpecError as error:
        return str(error)


def test_no_shape_is_missing():
    assert len(list(SHAPES.iterdir())) >= 10
