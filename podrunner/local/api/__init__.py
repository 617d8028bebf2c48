"""The API server of a LocalCluster: everything between an HTTP request and the stored object.

Where to look:

- ``server``: HTTP; ``paths``, ``options``: what a request asks for; ``tokens``, ``reviews``: its user.
- ``resources``: the table of the kinds that are served. ``status``: refusals in Kubernetes' words.
- ``registry``: the verbs that write (create, update, patch, delete) and what they apply to an object.
- ``validation``: which fields a kind has, and the rules of their values.
- ``storage``: the objects and their history; selectors, lists and watches over them.
- ``encoding``: bodies in and out: JSON, protobuf, tables.
- ``discovery``: what a client can find out about the API: groups, kinds, OpenAPI.
- ``controllers``: garbage collection, namespaces, quotas, and the objects that every cluster has.
- ``pod_subresources``: log, exec, attach, portforward, binding, eviction. ``runtime`` is what they need of the kubelet.

It imports nothing of ``podrunner.local.kubelet``: the two meet in the store and in ``runtime.PodRuntime``.
"""
