"""Durable execution. Knows state and store, no IPython.

lifecycle     the states of an attempt and of an execution, and the legal moves
policy        what to look at after a cell, and what a save may cost
saver         the one background writer
keeper        from what changed to a commit, and what happens when that fails
target        which checkpoint is meant, and whether it holds
recovery      recovery and rollback: make an earlier state live
resume        catch-up after a loss: what is put back instead of run
opening       a notebook's past, found and taken up
housekeeping  pins, deletion, forgetting, clearing
session       one notebook's execution in this process: its cells
difference    what differs between two checkpoints; `differences` between two values, kind by kind
query         SQL over the catalog and over values
overview      what one screen shows: where an execution stands, its history, what going back changes
death         what is known of how a kernel died
graph         the nodes, and which of them needs which
"""
