"""The data room: from files on disk to the stream that a run scores.

============ ==================================================
reading      files of text in every form, as a stream
text         files to documents, unchanged
tokenizer    ids of a text and the bytes of every id
tokenizers   the kinds of tokenizers
accounting   bytes of every token, by two rules, compared
encoding     a document of any length into tokens, in parts
building     documents to one stream, no further than needed
stream       the stream: tokens, their bytes, their documents
shards       the contest's token files
shard_stream a stream from shards, their manifest and sidecars
sidecar      the contest's files of bytes per token
load         the paths a person names to a stream
selection    which documents go to which split
prepare      writes shards, tokenizer and manifest
manifest     what a folder of shards says of itself
overlap      the hash by which documents are told apart
default_text the text that needs no download
============ ==================================================
"""
