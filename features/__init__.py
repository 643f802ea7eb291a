"""The cell in numbers: names, units, physics, the feature recipe and the rules."""
