"""The objects of the cluster and their history; selectors, lists, watches and event records over them."""
