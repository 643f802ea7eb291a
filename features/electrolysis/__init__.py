"""The reduction cell in relations: one cited formula, one pure function."""
