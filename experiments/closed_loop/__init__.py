"""Recommendations applied day by day to a virtual line that no model has seen, and what they are worth there.

Every arm lives through the very same noise on the very same cells, so arms are compared pair by pair. Only the
judge (``tally``) and the oracle read the truth; every other arm sees the measured record, late and noisy.
"""
