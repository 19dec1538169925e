"""The one loop that trains every network: what it is given, how it steps, what it leaves.

It knows nothing of files, the store or the command line, and cannot reach test rows.
"""
