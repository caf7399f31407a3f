"""Whether two files of cells hold the same content, in what sense, and what explains the difference."""
