"""The reference page is complete: every setting, as the code has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from podrunner.config import RunnerConfig
from podrunner.config.reference import _SECTIONS, attribute_texts, reference_page
from pydantic import BaseModel

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"
MODELS = [model for _, model in _SECTIONS]


def classes_of_settings(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from classes_of_settings(field.annotation)
    for part in get_args(annotation):
        yield from classes_of_settings(part)


def test_the_page_matches_the_code():
    """If not: ``python -m podrunner.config.reference > docs/reference/configuration.md``."""
    assert PAGE.read_text(encoding="utf-8") == reference_page()


def test_every_class_of_settings_has_a_section():
    """A new one gets a line in ``_SECTIONS`` of ``podrunner/config/reference.py``."""
    assert {*classes_of_settings(RunnerConfig)} - {*MODELS} == set()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_setting_is_described(model):
    fields = set(model.model_fields) - {"kind"}
    assert fields <= set(attribute_texts(model)) <= fields | {"kind"}
    assert all(f"| `{field}` |" in reference_page() for field in fields)
