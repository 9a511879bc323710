"""Files of text as people have them, read as a stream.

========= ====================================================================
kinds     what a file's name says: its form and its compression, or a refusal
opening   regular files and standard input, without waiting for a pipe
unpacking compressed files, with a limit on how much they grow
unicode   bytes to UTF-8 text, and what to do about any other encoding
records   documents of JSON lines, JSON and Parquet files
========= ====================================================================

:mod:`evaladapt.data.text` puts them together.
"""
