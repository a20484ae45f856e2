"""Faults: clients that die, models that fail or go away, servers that are told to end. Others must not notice."""
