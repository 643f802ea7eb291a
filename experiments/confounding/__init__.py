"""What a lever does, and whether a record can tell: the confounding report, its judge, and the test that settles it."""
