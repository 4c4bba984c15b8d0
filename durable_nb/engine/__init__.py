"""Durable execution. Knows state and store, no IPython.

lifecycle  the states of a node and of an execution, and the legal moves
policy     what to look at after a cell, and what a save may cost
saver      the one background writer
resume     catch-up after a loss: what is put back instead of run
recovery   plans and carries out going to a checkpoint
session    one notebook's execution in this process
"""
