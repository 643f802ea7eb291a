"""The virtual potline: it writes the sample data and judges decisions."""
