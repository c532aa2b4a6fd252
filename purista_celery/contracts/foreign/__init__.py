"""Contracts that another team declared, read from what it exported."""
