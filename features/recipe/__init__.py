"""Causal features: one arithmetic for a whole line's history and for one cell's stream."""

from features.recipe.catalogue import CAPPED_DAYS, Feature
from features.recipe.recipe import ARITHMETIC, Recipe
from features.recipe.state import RecipeState
from features.recipe.table import FeatureTable

__all__ = ["ARITHMETIC", "CAPPED_DAYS", "Feature", "FeatureTable", "Recipe", "RecipeState"]
