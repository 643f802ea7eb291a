"""Parameter sets: a file named after its source, and the loaders that freeze it."""
