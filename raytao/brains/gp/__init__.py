"""Gaussian process numerics: arrays in, arrays out; only `search` knows what a space is."""
