"""The schemas of Kubernetes' API, as it publishes them. README.md says how they were made."""
