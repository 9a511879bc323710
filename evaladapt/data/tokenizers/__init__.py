"""Tokenizers of every kind behind one protocol, :class:`evaladapt.data.tokenizer.Tokenizer`.

sentencepiece    ``.model`` files: artifacts, the contest's, our own (trained here)
huggingface      ``tokenizer.json``: byte-level BPE, and metaspace with byte fallback
raw_bytes        a token per byte
given            what a person gives in Python
trial            whether a tokenizer keeps text whole, tried on texts made for it
"""
