"""Tasks that call a Python function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow import BaseOperator


class PythonOperator(BaseOperator):
    """Calls ``python_callable`` with ``op_args`` and ``op_kwargs``."""

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] = (),
        op_kwargs: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.python_callable: Callable[..., Any] = python_callable
        self.op_args: Sequence[Any] = op_args
        self.op_kwargs: dict[str, Any] = op_kwargs or {}

    def execute(self) -> Any:
        """Call the function."""
        return self.python_callable(*self.op_args, **self.op_kwargs)
