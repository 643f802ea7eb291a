"""Bundle in, answers out: verified inference, the guard, the search and recommendations."""
