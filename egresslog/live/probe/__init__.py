"""One request from a workload, and where the logs show it."""
