"""On the PYTHONPATH of the processes under test: Python runs ``sitecustomize`` of itself before anything else."""
