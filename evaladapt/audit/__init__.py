"""The audit: what explains a conviction, and what looks for knowledge brought along.

A :class:`~evaladapt.audit.subject.Subject` (model, text, composition) goes in; every probe runs the engine on it in
this process, with texts that the audit has changed, hidden or written itself. Only ECHO runs a sealed player.
"""
