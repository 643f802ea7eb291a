"""The report that a process engineer reads: one HTML file, both languages inside, no network."""
