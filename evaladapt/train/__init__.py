"""The trainer: makes the weights that later become an artifact.

Token shards come in through ``loader``, ``gradients`` splits a step's rows over parts and processes, the optimisers
(``muon``, ``groups``) move the model's weights under a ``schedule``, ``averaging`` keeps their running mean,
``rounding`` trains at the weights that will be stored, ``precision`` says how products are computed, ``compiling``
makes kernels of the loss, ``validation`` measures bits per byte, ``checkpoint`` makes every stop resumable, and
``trainer`` is the loop that ties them together. ``job`` says what is trained, ``settings`` reads the presets beside it.
"""
