"""Small real trainings, each a generator: it yields after its set-up and after each epoch."""
