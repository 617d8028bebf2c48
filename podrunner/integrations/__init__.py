"""Adapters by which other systems use podrunner. Each imports its system only when it is itself imported.

What belongs here: the system's interface on one side, podrunner's public names on the other. What an adapter needs
beyond these is added to the public face, for every embedder.
"""
