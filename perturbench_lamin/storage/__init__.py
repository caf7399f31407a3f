"""Storage: the one gate through which every matrix and table of cells comes in, checked once."""
