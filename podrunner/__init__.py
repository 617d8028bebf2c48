"""podrunner: the pod launcher that schedulers embed."""
