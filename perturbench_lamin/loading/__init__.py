"""Curated file and split to batches: vocabulary, samplers, dense gathering, counterfactual batches."""
