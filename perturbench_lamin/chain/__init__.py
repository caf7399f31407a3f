"""Chains of notebooks: their steps, in which order they run, which are kept."""
