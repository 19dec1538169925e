"""From a model to labels: predict the pool, calibrate, select.

Knows nothing of how the model came to be, and writes nothing to the store.
"""
