"""
The lookup engine: who needs a lookup, which provider is queried next, and what its replies add up to.

One screening and one walk over providers and their follow-ups serve three askers: one pays, one only reads the journal
(dry run), one counts (estimate). So what is promised beforehand is what a run then does.
"""
