"""How objects are kept that pickle refuses, or would bring back as something else."""
