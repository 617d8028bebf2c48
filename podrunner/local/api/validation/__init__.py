"""What may be stored: the fields of each kind (``schema``) and the rules of their values, by kind.

Rules give their errors in Kubernetes' words (``field_errors``). Nothing here changes an object but ``schema``.
"""
