"""The provider's processes: one for each environment that ``AIRFLOW_PYTHON_<VERSION>`` names."""

from __future__ import annotations

import pytest
from tests.airflow_parity.cases import LINES
from tests.airflow_parity.provider_process import provider
from tests.airflow_parity.recorded import environment
from tests.airflow_parity.tally import SEEN


@pytest.fixture(scope="session", params=LINES)
def line(request):
    return request.param


@pytest.fixture(scope="session")
def airflow(line, tmp_path_factory):
    """Airflow's provider of a line; ``nox -s airflow-parity`` makes the environments."""
    with provider(environment(line), line, tmp_path_factory.mktemp("airflow")) as process:
        yield process


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("Pods compared with those of Airflow's provider")
    for line, counted in SEEN.items():
        for name, count in counted.most_common():
            terminalreporter.write_line(f"Airflow {line}: {count:4} {name}")
