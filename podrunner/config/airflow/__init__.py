"""Airflow's share of the configuration: the settings of its worker pods, and reading an ``airflow.cfg``.

What belongs here: what only an ``airflow.cfg`` or an Airflow worker needs. ``settings.py`` holds the settings;
``options.py`` is the table of Airflow's options. ``cfg.py`` reads a file in steps: ``ini.py`` (syntax), ``sources.py``
(precedence of environment, file and defaults), ``conversion.py`` and ``volumes.py`` (meaning).
"""
