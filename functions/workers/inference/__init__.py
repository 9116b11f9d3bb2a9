"""Inference nodes: processes that load models, take jobs of their functions, and tell what they are at."""
