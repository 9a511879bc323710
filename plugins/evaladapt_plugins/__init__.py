"""The built-in strategies, one file each. They import ``evaladapt.contract`` and ``evaladapt.toolbox`` only."""
