"""Tasks to frozen split files: which cells a model trains on, is tuned on and is tested on."""
