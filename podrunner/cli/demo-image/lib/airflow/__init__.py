"""The demo image's `airflow`: just enough of Airflow 1.10's classes to load a DAG file. Not Airflow."""

_open = []


class DAG:
    """A named set of tasks; operators made inside its ``with`` block join it."""

    def __init__(self, dag_id, **_settings):
        self.dag_id = dag_id
        self.tasks = {}

    def __enter__(self):
        _open.append(self)
        return self

    def __exit__(self, *_error):
        _open.pop()


class BaseOperator:
    """A task of a DAG."""

    def __init__(self, *, task_id, dag=None, **_settings):
        self.task_id = task_id
        self.dag = dag or _open[-1]
        self.dag.tasks[task_id] = self

    def execute(self):
        """Do the task's work."""
        raise NotImplementedError(type(self).__name__)
