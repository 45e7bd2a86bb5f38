"""Wiring of the components into one DAG, its configuration and its entry points."""
