"""Models in operation: versions on disk, the processes that answer, and which of them is current.

repository      immutable, content-addressed versions and the pointer to the current one
wire            what travels between the service and a worker
link            one worker process, from this side
pool            the workers of one version: deadline, replacement, queue
drift           how far today's rows are from those that the model was proved on
house           every model: load, promote, roll back, shadow
"""
