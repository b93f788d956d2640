"""Algorithms: small pure objects that propose configurations."""
