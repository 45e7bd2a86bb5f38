"""Open-source Kubeflow Pipelines on this machine: a compiled package runs here, task by task.

What the backend does to a package was read in its sources (kubeflow/pipelines, below
backend/src); each rule names the Go file that it comes from. Of Argo Workflows the rules of
dependencies, skipping and exit hooks are followed (workflow/controller/dag.go, exit_handler.go).

Tasks run one after another. Each attempt has an empty file system of its own for what the launcher
brings and takes, as a pod has. Loops, importers and modelcars are not there.
"""
