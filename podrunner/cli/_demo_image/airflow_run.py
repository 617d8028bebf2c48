"""The `airflow` program of the demo image: ``airflow run DAG TASK DATE … -sd FILE`` for one DAG-like file.

It is not Airflow. It loads the file that it is told to, finds the named DAG and task, and executes the task, so
that the demo's pod does real work without Airflow's two hundred megabytes. Plain Python without dependencies, since
it runs inside a container.
"""

import argparse
import importlib.util
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from airflow import DAG, BaseOperator  # the demo's own, found through the line above

log: logging.Logger = logging.getLogger("airflow.task")


def main(argv: list[str]) -> int:
    """Run the task; the exit code is 0 only if it succeeded."""
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format="[%(asctime)s] {%(filename)s:%(lineno)d} %(levelname)s - %(message)s",
    )
    sys.stdout.reconfigure(line_buffering=True)
    arguments = _parse(argv)
    task = _find_task(arguments)
    log.info("Executing <Task(%s): %s> on %s", type(task).__name__, task.task_id, arguments.execution_date)
    try:
        task.execute()
    except Exception:
        log.exception("Marking task as FAILED.")
        return 1
    log.info("Marking task as SUCCESS. dag_id=%s, task_id=%s", task.dag.dag_id, task.task_id)
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="airflow", description="the demo image's program; not Airflow")
    run = parser.add_subparsers(required=True).add_parser("run")
    for name in ("dag_id", "task_id", "execution_date"):
        run.add_argument(name)
    run.add_argument("--local", action="store_true")
    run.add_argument("--pool")
    run.add_argument("-sd", "--subdir", type=Path, required=True)
    return parser.parse_args(argv)


def _find_task(arguments: argparse.Namespace) -> BaseOperator:
    log.info("Filling up the DagBag from %s", arguments.subdir)
    spec = importlib.util.spec_from_file_location("dag_file", arguments.subdir)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dags = {value.dag_id: value for value in vars(module).values() if isinstance(value, DAG)}
    try:
        return dags[arguments.dag_id].tasks[arguments.task_id]
    except KeyError as missing:
        raise SystemExit(f"airflow: no {missing} in {arguments.subdir}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
