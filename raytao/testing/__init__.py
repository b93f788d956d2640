"""What tests and simulations share, importable so that other packages can use it too.

`objectives` needs nothing; `brain_contract` needs hypothesis.
"""
