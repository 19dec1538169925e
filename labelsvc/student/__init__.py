"""The model that goes to work: what it learns from, its ONNX file, and inference without torch.

``session``, ``infer`` and ``predict`` load without torch; ``distil`` and ``export`` need it. Only this room touches
onnxruntime.
"""
