"""Chains of notebooks: which steps there are, what decides each, and running those that are not made yet."""
