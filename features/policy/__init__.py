"""The rules that a smelter in China lives under, as cited numbers and pure functions."""
