"""A static site of an instance, for people without an account: what is there, and how it came about."""
