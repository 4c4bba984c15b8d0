"""Variables <-> bytes. Knows no IPython and no disk.

access    which names a piece of code can touch
sharing   which variables share objects: components
pickling  pickler and unpickler bound to one namespace; the only user of cloudpickle
source    where a definition's text is, and code objects that do not depend on a cell's file name
ambient   random generators, working directory
pool      bounded copies of changed bytes
capture   namespace -> components and pieces, only what changed
restore   manifests -> staging dict -> namespace
texts     values as short text, without asking them for it
preview   a few words about a value, for who looks without loading
reading   components that are loaded to be looked at only
"""
