"""LaminDB: instances, artifacts, runs and how they hang together."""
