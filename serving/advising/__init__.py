"""Advice in operation: searches in processes of their own, and what the service makes of them.

tasks     what is asked of an advice worker, as bytes
worker    the process: a bundle's searches, and a line's record folded into contexts; ended when it hangs
record    what needs no search: rows in, contexts out
search    what does (the search extra): recommendations, and a person's own setting judged by the guard
shift     which of a line's open moves come first under a shift's budgets
desk      the advice workers of each version, kept warm while it is in operation
rounds    many cells advised at once, each written into the ledger before it is told
cells     what stands for each cell: its recommendation, its decision, its mode, its last measurements
"""
