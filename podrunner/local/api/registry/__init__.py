"""The verbs on stored objects, as apiserver's generic registry has them: create, get, update, patch, delete.

``objects`` takes an object through the steps; each other module is one step. Messages of invalid fields belong to
``validation``.
"""
