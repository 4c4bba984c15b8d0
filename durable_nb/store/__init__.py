"""Bytes to disk and back. Knows no variables.

objects     the seam: immutable named objects, and the local folder that holds them
signing     the user's key, the last head seen, whom the user trusts
packs       chunks in Parquet files
index       finds a chunk in the packs, and reads it
records     records, epochs and intents: how each is written, signed and read
shape       what a stranger wrote may have any shape
log         the verified past of one execution
owner       which process owns an execution, and whether it lives
draft       a commit before it is one
naming      the digests of components that refer to each other
writer      the only one that writes to an execution
repository  the one front door
verify      everything in the store against its digests and signatures
reach       what the checkpoints still need
condemned   packs that are about to be deleted
garbage     deletes what nothing needs
thinning    which checkpoints go first when the store is too large
catalog     DuckDB over all of it: derived, rebuildable
"""
