"""The model: a small decoder-only transformer, and the protocol that other model families implement.

A configuration (``config``, free of torch) says what to build; ``transformer`` builds it; ``backend`` is the face the
engine and the trainer see. Weights come from an artifact or from a training, tokens from the data room; hidden states
and logits go to whoever asked. Nothing here knows about strategies, scores or files.
"""
