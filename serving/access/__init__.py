"""Who is asking, and may they: keys (keys), tokens (tokens), roles and lines (roles), rates (rate).

``keeper.Keeper`` puts them together behind the port that the service knows (:mod:`serving.ports`).
"""

from serving.access.keeper import Keeper, access_of, see
from serving.access.keys import KeyStore, Wanted
from serving.access.rate import Rate
from serving.access.roles import RULES, Identity, Role

__all__ = ["RULES", "Identity", "Keeper", "KeyStore", "Rate", "Role", "Wanted", "access_of", "see"]
