"""Bodies of requests and responses: JSON, YAML, Kubernetes' protobuf, and the tables that ``kubectl get`` prints."""
