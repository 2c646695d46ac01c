"""One file per verb; ``reconciler.cli.group.VERBS`` says which."""
