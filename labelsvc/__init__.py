"""labelsvc: pseudo-labels for your dataset, each one traceable.

``labelsvc.flows`` is the Python interface: one function for each verb of the command line.
"""

__version__ = "0.1.0"
