"""Fit a model on a curated file and a frozen split, resume it, load its checkpoint, predict."""
