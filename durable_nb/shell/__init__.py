"""IPython lives here and nowhere else."""
