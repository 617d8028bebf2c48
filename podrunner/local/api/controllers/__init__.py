"""Controllers of the control plane: each subscribes to the store and changes objects, as kube-controller-manager does.

The scheduler and the volume binder are beside the kubelet, which is the only node.
"""
