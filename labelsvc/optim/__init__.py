"""Schedules, the optimiser's step, the average of the weights and mixed precision: once, for all methods.

Knows nothing of what is learnt or from what.
"""
