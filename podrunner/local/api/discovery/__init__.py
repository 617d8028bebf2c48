"""What a client can find out about the API: groups and resources, the version, the OpenAPI documents."""
