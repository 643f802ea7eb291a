"""The search for setpoints: the only part of serving that knows Optuna.

trees, graph, specialise   a bundle's graph cut at its trees and reduced to one cell, exact on the lever grid
problem                    the cost of a tonne over that grid, and what must hold
descent, economy, paths    the default search, fewest levers for the same gain, the days that lead there
samplers, study, front     Optuna: our descent as a sampler, its own samplers, studies, Pareto fronts
forms, proof               the optimum proved by a mixed-integer programme (HiGHS), or counted on the whole grid
"""
