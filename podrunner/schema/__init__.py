"""Which fields an object of the Kubernetes API has, and of what type, by Kubernetes' own schemas.

What belongs here: the schemas, and checking plain data against them. What does not: rules about values and between
fields (``podrunner.builder.rules``, and LocalCluster's in ``podrunner.local.api.validation``), decoding and defaults.
Pure but for one file of the package, which is read at first use.
"""
