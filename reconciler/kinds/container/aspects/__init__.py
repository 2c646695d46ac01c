"""Everything that a container's fields mean, one file for each field or small group of fields.

An aspect's file holds the annotated types of its fields (documentation, schema, whether an edit takes effect in place,
which spellings are one value), its rules, what it gives to the run of a container, and how a running container is
brought to it. ``spec.ContainerSpec`` has a row for each field; ``table.of`` finds the aspects there.

Aspects speak the drivers' plain arguments and are given the drivers that they work on: they open none.
"""
