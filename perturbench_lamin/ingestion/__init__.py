"""Deposited files: fetch them with a checksum, check them, and read their formats."""
