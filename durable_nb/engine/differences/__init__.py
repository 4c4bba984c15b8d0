"""What differs between two values: one module per family of kinds.

Nothing here imports a library for data: who compares a frame has imported pandas. Nothing asks a value of
the notebook for its `repr`, its `==` or its attributes in a way that the value can answer itself, as long
as there is another one.
"""
