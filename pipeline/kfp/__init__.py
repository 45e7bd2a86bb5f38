"""The same pipeline on Kubeflow Pipelines 2.x and on Vertex AI Pipelines."""
