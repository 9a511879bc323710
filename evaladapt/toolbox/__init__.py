"""The toolbox: numerics that several strategies share, as pure functions on tensors and arrays.

Nothing here knows windows, streams or hooks. A strategy hands in what the contract gave it (past logits, past tokens)
and gets numbers back; what may be seen is settled before a tensor reaches this room. Every module is tested against a
slow, plain reference. Import the module you need: the package imports nothing, so numpy users do not pay for torch.

| module | what |
|---|---|
| ``batched_lbfgs`` | many independent smooth problems side by side, one history and line search each |
| ``logit_bias`` | the additive logit correction: closed-form step, Newton, L-BFGS (priors in ``bias_prior``) |
| ``update_rules`` | SGD, Adam, Muon and RMS scaling: from a gradient and its state to an update |
| ``orthogonal`` | the nearest orthogonal matrix, by Newton-Schulz |
| ``mixing`` | mixtures, fixed share and tilts of log-probabilities that stay normalised |
| ``counts`` | exact n-gram counts that grow while the text is read (on ``key_index``) |
| ``continuations`` | what followed a context, sparsely; the same within the tokens since the last update |
| ``backoff`` | counts of several orders and a model's distribution as one distribution |
"""
