"""The search for setpoints: the only part of serving that knows Optuna."""
