"""The audit: probes that try to catch a strategy with knowledge it should not have, and what they found, in words.

A :class:`~evaladapt.audit.subject.Subject` (model, text, composition) goes in; every probe runs the engine on it, with
texts that the audit has changed, hidden or written itself, and returns :class:`~evaladapt.audit.finding.Finding`\\ s.
"""
