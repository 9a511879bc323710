"""The data room: from files on disk to the stream that a run scores.

============ ==================================================
text         files to documents, unchanged
tokenizer    sentencepiece models and their byte table
accounting   bytes of every token, by two rules, compared
stream       documents to one TokenStream
shards       the contest's token files, and a stream from them
selection    which documents go to which split
prepare      writes shards, tokenizer and manifest
manifest     what a folder of shards says of itself
overlap      the hash by which documents are told apart
default_text the text that needs no download
============ ==================================================
"""
