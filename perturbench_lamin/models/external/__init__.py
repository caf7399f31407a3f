"""Models of other packages behind the contract of the zoo; each needs its package, an extra."""
