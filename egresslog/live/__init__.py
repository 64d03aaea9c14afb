"""A cluster's logs: read as they are now, or followed as they are written."""
