"""Airflow's share of the configuration: the settings of its worker pods, and reading an ``airflow.cfg``.

What belongs here: what only an ``airflow.cfg`` or an Airflow worker needs. ``settings.py`` holds the settings;
``options/`` is the table of Airflow's options, and ``effects.py`` decides by it which have an effect. ``cfg.py``
reads a file in steps: ``ini.py`` (syntax), ``sources.py`` and ``readers.py`` (precedence of environment, file and
defaults), ``signs.py`` and ``version.py`` (the version of Airflow), ``conversion.py``, ``volumes.py`` and
``launching.py`` (meaning), ``report.py``, ``checks.py`` and ``template_checks.py`` (findings).
"""
