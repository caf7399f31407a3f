"""Curation: harmonise, validate, select genes, and write the curated file."""
