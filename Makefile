# The two commands are `make demo` and `make test`; each sets up what it needs.
SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
INSTALLED := .venv/.installed
NOTEBOOKS = $(wildcard ingestion/*.ipynb curation/*.ipynb training/*.ipynb evaluation/*.ipynb)

# Wheels of another kind (such as the CPU build of torch) can be had with, for example,
#   make install PIP_OPTIONS="--index-url <index>"
PIP_OPTIONS ?=

.PHONY: help install demo test lint unit bench gpu gpu-wheels lock clean

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

install: $(INSTALLED)  ## Make .venv with the pinned dependencies

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install  ## Run the whole chain on simulated data and show the leaderboard
	$(BIN)/perturbench-lamin demo

test: install lint unit  ## Check style and types, and run the tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(if $(NOTEBOOKS),$(BIN)/nbstripout --verify $(NOTEBOOKS))

unit: install
	$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

bench: install  ## Measure speed and memory, and write the benchmark report
	$(BIN)/python tests/benchmarks/report.py

# On the machine with the GPU: its own Python and torch, no installation, no network.
GPU_PYTHON ?= python3
gpu:  ## Check the models, the scores and their speed on a GPU, and write docs/gpu.md
	$(GPU_PYTHON) tests/gpu/gpu_check.py

# What a Python with torch, lightning, numba, h5py and pyarrow may lack; for another version: GPU_VERSION=3.13.
GPU_VERSION ?= 3.12
GPU_PACKAGES ?= anndata array-api-compat donfig google-crc32c legacy-api-wrap natsort numcodecs pandas pytz scverse-misc \
  session-info2 tzdata zarr
gpu-wheels: install  ## Collect in .whl what that machine may lack, to be carried there
	rm -rf .whl
	for package in $(GPU_PACKAGES); do \
	  $(BIN)/python -m pip download --quiet --no-deps --only-binary=:all: --dest .whl \
	    --python-version $(GPU_VERSION) --implementation cp \
	    $(foreach n,28 27 24 17 12 5,--platform manylinux_2_$(n)_x86_64) --platform manylinux2014_x86_64 \
	    "$$($(BIN)/python -c 'import sys; from importlib.metadata import version; print(f"{sys.argv[1]}=={version(sys.argv[1])}")' $$package)" \
	    || exit 1; \
	done

lock:  ## Resolve the dependencies anew into constraints.txt (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --fork-strategy fewest --python-version 3.11 \
	  --no-annotate --no-header --output-file constraints.txt \
	  $(foreach package,$(CUDA_PACKAGES),--no-emit-package $(package))

# torch names these for Linux; as hard pins they would bring gigabytes to machines without a GPU.
CUDA_PACKAGES = cuda-bindings cuda-pathfinder cuda-toolkit triton nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc \
  nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse \
  nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx

clean:  ## Remove .venv and the demo
	rm -rf .venv demo
