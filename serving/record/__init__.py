"""The record that a twin posts: canonical rows, checked by the dictionary, kept line by line, folded into a history.

reading    one row: types, units' plausible ranges, keys; no table library
contract   the rows of one post together: repeated keys, stopped cells, stray dates; what is set aside, and why
tables     the database: SQLite, or PostgreSQL by URL; migrations/ holds its schema's history
store      ``RecordStore``: rows in by key, columns and cells out
folding    a line's rows as a ``features.history.History``, and the contexts of its cells
"""
