"""Verified savings: what accepted recommendations really saved, against matched cells that were not moved.

moves        the ledger's accepted recommendations as days on which a cell counts
panel        every cell before and after a day: energy per tonne, metal, what cells are matched on
comparison   difference in differences, matched and bias-corrected, with an interval
anodes       net anode carbon, as far as weighed butts tell it
work         every finished block of a line compared; telling: figures for any set of days
answer       ``verified_savings``: a line, its weeks and its cells
"""

from serving.verified.answer import Span, verified_savings
from serving.verified.schemas import Savings
from serving.verified.settings import SavingsSettings

__all__ = ["Savings", "SavingsSettings", "Span", "verified_savings"]
