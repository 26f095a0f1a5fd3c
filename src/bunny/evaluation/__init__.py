"""Proof that an adapter learned its character: measures of drawings, intervals, choice, verdict."""
