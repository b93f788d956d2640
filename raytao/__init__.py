"""NVIDIA TAO's AutoML, on any Ray cluster."""

__all__ = ["__version__"]

__version__ = "0.1.0"
