"""Strategies of the parameter-golf contest in their published form, which had seen the answer.

Each file is one pull request with its hyper-parameters, says which clause it breaks and where the published code does
it, and runs under ``--allow-noncausal`` only. A number from here is a claim, never a score; every file names its legal
relative. What differs from the originals, everywhere: arithmetic is in float32, padding is left out of the objectives
instead of being counted as token 0, and windows follow each other in one process, with the run's batch size and plan.
"""
