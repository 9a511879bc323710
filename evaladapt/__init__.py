"""evaladapt: evaluation-time adaptation of frozen language models under a causality contract.

Importing the package is cheap on purpose: ``evaladapt --help`` must not import torch.
"""

__version__ = "0.1.0"
