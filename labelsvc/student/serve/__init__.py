"""A student behind HTTP: the Open Inference Protocol for programs, ``/v1/label`` for everyone, a page for people.

``server`` starts it; ``door`` lets requests in, ``app`` names the routes, ``service`` is the student at work. Loads
neither torch nor the store, and needs the extra ``labelsvc[serve]``.
"""
