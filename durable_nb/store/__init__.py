"""Bytes to disk and back. Knows no variables.

objects     the seam: immutable named objects, and the local folder that holds them
signing     the user's key, what it has signed, the last head seen, whom the user trusts
packs       chunks in Parquet files, and the index that finds them
log         records, epochs and intents: how each is written, signed and read
history     the verified past of one execution
owner       which process owns an execution, and whether it lives
writer      the only one that writes to an execution
repository  the one front door
verify      everything in the store against its digests and signatures
garbage     what no checkpoint needs any more
catalog     DuckDB over all of it: derived, rebuildable
"""
