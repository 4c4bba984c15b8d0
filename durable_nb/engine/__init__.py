"""Durable execution. Knows state and store, no IPython.

lifecycle     the states of an attempt, a node and an execution, and the legal moves
cell          a cell as it arrives, and what its node asks for
policy        what to look at after a cell, and what a save may cost
saver         the one background writer
keeper        from what changed to a commit, and what happens when that fails
attempts      attempts at a node: begun, kept, undone
guard         round a node's body: tried again, watched
watch         time limits
transient     which errors time may mend
failure       what is kept of an error, and looked at later
nodes         where every node stands, folded from the log
lineage       the checkpoints that led to one
target        which checkpoint is meant, and whether it holds
recovery      recovery and rollback: make an earlier state live
resume        catch-up after a loss: what is put back instead of run
following     the live state in step with catch-up
reuse         finished nodes that are put back: after a loss, and memos
recompute     running cells again for what could not be kept
staleness     finished nodes that do not hold any more
manual        what a person decides about a node
opening       a notebook's past, found and taken up
death         what is known of how a kernel died
housekeeping  pins, descriptions, deletion, forgetting, clearing
session       one notebook's execution in this process: its cells
progress      events, who listens, how far an execution is
overview      what one screen shows: where an execution stands, its history, what going back changes
graph         the nodes, and which of them needs which
difference    what differs between two checkpoints; `differences` between two values, kind by kind
query         SQL over the catalog and over values
memory        how much of it is left
"""
