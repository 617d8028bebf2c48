"""The demo image's operators."""
