"""Get a recorded result again from its lineage alone, and compare."""
