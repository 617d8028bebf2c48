"""Reporting options of an ``airflow.cfg`` that have no effect, or another one than their place in the file suggests.

What belongs here: findings that follow from the table of options alone. Rules about single options are in
``checks.py``, about the pod template in ``template_checks.py``.

An option that Airflow of this version passes over as podrunner does is a note: nothing runs differently. It is a
warning where the file asks for something that is then missing: no template has replaced the option, or Airflow does
not read the section that podrunner reads.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from podrunner.config.airflow.effects import Effect, effect_of
from podrunner.config.airflow.options import FREE_SECTIONS, OPTIONS, is_in
from podrunner.config.airflow.sources import ENVIRONMENT
from podrunner.config.location import SourceLocation

if TYPE_CHECKING:
    from podrunner.config.airflow.conversion import Conversion
    from podrunner.config.airflow.effects import Scope
    from podrunner.config.airflow.options import Option
    from podrunner.config.airflow.sources import Written

__all__ = ["report_options"]

_OFF = ("False", "{}", "[]")
"""Values that ask for nothing."""


_REPORTED = frozenset({Effect.TEMPLATE, Effect.ABSENT, Effect.NO_EFFECT, Effect.EFFECT})


def report_options(conversion: Conversion) -> None:
    """Report each option that has no effect, or not the effect that it seems to have."""
    followed: list[tuple[Option, Written]] = []
    for option in OPTIONS:
        effect = effect_of(option, conversion.scope)
        if effect in _REPORTED and (written := conversion.sources.written(option.key)):
            _report(conversion, option, effect, written)
            followed += [(option, written[0])] if effect is Effect.EFFECT else []
    _report_free_sections(conversion)
    _report_unread_sections(conversion, followed)
    _report_old_sections(conversion, followed)


def _report(conversion: Conversion, option: Option, effect: Effect, written: list[Written]) -> None:
    if effect is Effect.TEMPLATE:
        for each in written:
            _replaced_by_template(conversion, option, each)
    elif effect is Effect.ABSENT:
        _absent(conversion, option, written[0])
    elif effect is Effect.NO_EFFECT:
        _without_meaning(conversion, option, written[0])
    if effect in {Effect.EFFECT, Effect.NO_EFFECT}:
        _overruled(conversion, written)


def _asks_for_nothing(conversion: Conversion, option: Option, written: Written) -> bool:
    text = conversion.sources.text_of(written)
    if option.key == "dags_in_image":
        return True  # no volume, as without it
    return not written.form and text in {*_OFF, option.default, *option.later_defaults}


def _replaced_by_template(conversion: Conversion, option: Option, written: Written) -> None:
    scope = conversion.scope
    if conversion.has_finding(written.location):
        return  # what contradicts the version is reported as that
    quiet = scope.template or _asks_for_nothing(conversion, option, written)
    report = conversion.note if quiet else conversion.warn
    report(written.location, _from_template(scope), remedy=_into_template(scope, option.in_template))


def _from_template(scope: Scope) -> str:
    missing = "" if scope.template else ", and none is named"
    return f"has no effect: {scope.airflow} builds pods from pod_template_file{missing}"


def _into_template(scope: Scope, place: str) -> str:
    return f"Put it there: {place}" if scope.template else f"Name a template that has it: {place}"


def _absent(conversion: Conversion, option: Option, written: Written) -> None:
    """Report an option that this version does not have; podrunner still does what it asks for, where it can."""
    scope = conversion.scope
    gone = bool(option.until) and not is_in("", option.until, scope.versions)
    why = (
        f"{scope.airflow} no longer has it"
        if gone
        else f"{scope.airflow} does not have it, {option.since} does"
    )
    conversion.note(
        written.location,
        f"{why}; podrunner follows it" if option.setting else f"has no effect: {why}",
        remedy=f"Use {option.replaced_by}" if gone and option.replaced_by else None,
    )


def _without_meaning(conversion: Conversion, option: Option, written: Written) -> None:
    message = f"has no meaning for podrunner: {option.effect.replace('`', '')}"
    report = conversion.note if _asks_for_nothing(conversion, option, written) else conversion.warn
    report(written.location, message)


def _overruled(conversion: Conversion, written: list[Written]) -> None:
    """Report other sections of the file that say something else than the one that counts."""
    first, text = written[0], conversion.sources.text_of(written[0])
    for each in written[1:]:
        if each.location.source == first.location.source and conversion.sources.text_of(each) != text:
            conversion.note(
                each.location, f"has no effect: [{first.section}] {first.location.key} overrules it"
            )


def _report_free_sections(conversion: Conversion) -> None:
    """Report sections with keys of the user's own that a template replaces."""
    scope = conversion.scope
    if not scope.pod_from_template:
        return
    for section in FREE_SECTIONS:
        entries = conversion.sources.entries(section.name)
        location = SourceLocation(conversion.sources.file.source, section.name)
        if entries and not conversion.has_finding(location):
            report = conversion.note if scope.template else conversion.warn
            message = f"{', '.join(entries)}: {_from_template(scope)}"
            report(location, message, remedy=_into_template(scope, section.in_template))


def _report_unread_sections(conversion: Conversion, followed: list[tuple[Option, Written]]) -> None:
    """Report options of sections that this version does not read, and that no section which it reads has."""
    unread = defaultdict(list)
    for option, written in followed:
        reading = [place.section for place in option.places if place.is_read_by(conversion.scope.versions)]
        if reading and written.section not in reading:
            unread[_section_of(written), reading[0]].append(str(written.location.key))
    for (location, read), keys in unread.items():
        conversion.warn(
            location,
            f"{', '.join(keys)}: {conversion.scope.airflow} reads [{read}] only; podrunner follows them",
            remedy=f"Move them to [{read}]",
        )


def _report_old_sections(conversion: Conversion, followed: list[tuple[Option, Written]]) -> None:
    """Report options that stand in a section which has a new name in this version."""
    versions = conversion.scope.versions
    old = defaultdict(list)
    for option, written in followed:
        newest, *others = option.places
        is_read = any(place.section == written.section and place.is_read_by(versions) for place in others)
        if is_read and newest.is_surely_read_by(versions):
            old[_section_of(written), newest].append(str(written.location.key))
    for (location, newest), keys in old.items():
        conversion.note(
            location,
            f"{', '.join(keys)}: [{newest.section}] is the section of Airflow {newest.since} and later",
            remedy=f"Move them to [{newest.section}]",
        )


def _section_of(written: Written) -> SourceLocation:
    source = written.location.source
    return SourceLocation(source, None if source == ENVIRONMENT else written.section)
