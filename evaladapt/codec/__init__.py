"""The codec room: a run as a lossless compressor, which is the strongest proof that its score is one.

``encode`` drives the engine in step mode and writes every target under its distribution; ``decode`` drives the same run
on a text of which only the length is known. Between them: ``text`` (any bytes as tokens), ``coders`` (what the engine
calls for every target), ``frequencies`` and ``range_coder`` (distributions to bits), ``container`` and ``recipe`` (the
``.evz`` file), ``checks`` and ``canary`` (where a decoder has lost its way, and whether this machine computes what that
one did), ``alone`` (a decoder reads nothing but its program), ``verify`` (a record's claim, re-run and decoded), and
``side`` (what a claim costs once a decoder is told what it would need).
"""
