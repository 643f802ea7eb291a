"""Parameter sets: a file named after what it describes, every number with its unit, tag and source.

``designs/`` holds cell designs, ``ledges/`` side walls, ``correlations/`` which formula is believed for what.
"""

from features.parameters.correlations import CorrelationChoice, load_correlation_choice
from features.parameters.designs import CellDesign, load_cell_design
from features.parameters.files import Citation, parameter_names
from features.parameters.ledges import LedgeDesign, load_ledge_design

__all__ = [
    "CellDesign",
    "Citation",
    "CorrelationChoice",
    "LedgeDesign",
    "load_cell_design",
    "load_correlation_choice",
    "load_ledge_design",
    "parameter_names",
]
