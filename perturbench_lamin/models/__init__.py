"""The zoo: one file a model, one registry, one contract, published hyperparameters as data."""
