"""Measurements of speed and quality that anyone can repeat on their own machine: ``evaladapt bench NAME``."""
