"""Tasks that call a Python function."""

from airflow import BaseOperator


class PythonOperator(BaseOperator):
    """Calls ``python_callable`` with ``op_args`` and ``op_kwargs``."""

    def __init__(self, *, python_callable, op_args=(), op_kwargs=None, **settings):
        super().__init__(**settings)
        self.python_callable = python_callable
        self.op_args = op_args
        self.op_kwargs = op_kwargs or {}

    def execute(self):
        """Call the function."""
        return self.python_callable(*self.op_args, **self.op_kwargs)
