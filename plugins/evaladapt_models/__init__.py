"""The model families that come with evaladapt, found by entry point like a stranger's.

Each is one module, importable without torch: ``eva`` (artifacts), ``hf`` (Hugging Face folders and GGUF files),
``golf`` (checkpoints of parameter-golf's baseline), ``python`` (any torch module of the user's own).
"""
