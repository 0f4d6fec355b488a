"""A release folder: what a paper cites, and what a stranger needs to count again.

Read downwards:

``contents``   which files a release has: aggregates, a row for each domain, provenance, evidence
``describe``   the words beside them: data package, data dictionary, citation, README
``folder``     replacing a folder of ours whole, refusing any other, and its SHA256SUMS
"""
