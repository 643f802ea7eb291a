"""Everything that the house claims to know, in one list: for the report, the pages and the tests."""

import importlib
import pkgutil

import features.electrolysis
import features.policy
from features.relations import Relation, registered


def relations() -> tuple[Relation, ...]:
    """Every relation of electrolysis and policy, by name.

    >>> len(relations()) > 50
    True
    """
    for package in (features.electrolysis, features.policy):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return registered()
