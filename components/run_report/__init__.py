"""What a person looks at after a run: what its nodes found, on one page."""
