"""History in, bundle out: labels, estimators, calibration, tuning, tracking and exact export."""
