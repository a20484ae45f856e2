"""Requests that nobody in his right mind sends, beside those of others who must not notice."""
