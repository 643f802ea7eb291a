"""Fitted model in, bundle out: one exact graph, the rows that prove it, the manifest and the card.

terms, structures               what structures share is one term, and alike terms stand side by side
leaves, trees, confidence       what a model is made of, as graph nodes (writer)
graph                           the whole graph, and what it must answer
edges, parity                   rows planted on thresholds; the graph compared with the trained estimators
contents, card, write           manifest, model card, and the directory that appears whole or not at all
lightgbm                        any plain LightGBM regressor as a structure
"""

from training.export.contents import Label
from training.export.parity import ParityPlan
from training.export.write import BundleInfo, write_bundle

__all__ = ["BundleInfo", "Label", "ParityPlan", "write_bundle"]
