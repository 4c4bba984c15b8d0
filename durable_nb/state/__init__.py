"""Variables <-> bytes. Knows no IPython and no disk.

access    which names a piece of code can touch
sharing   which variables share objects: components
pickling  the pickler of one namespace; the only user of cloudpickle
recurring strings that stand first in a stream
source    where a definition's text is, and code objects that do not depend on a cell's file name
ambient   random generators, working directory
pool      bounded copies of changed bytes
capture   namespace -> components and pieces, only what changed
assembly  manifests and chunks -> streams and buffers
unpickling  one stream -> the values of a component
restore   components -> staging dict -> namespace
texts     values as short text, without asking them for it
preview   a few words about a value, for who looks without loading
reading   components that are loaded to be looked at only
"""
