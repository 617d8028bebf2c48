"""``podrunner doctor``: whether pods of a configuration can be run, and what to do where they cannot.

What belongs here: the checks. Each is a function from facts to a :class:`~podrunner.cli.doctor.finding.Finding`
(``checks``, ``rights``, ``references``); ``examination`` asks the cluster for the facts, and ``command`` prints.
"""
