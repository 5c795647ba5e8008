# make install | demo | test | test-slow | check | coverage | bench | docs | matrix | clean.   make demo ARGS="--lockstep --seed 3"
# Everything goes into .venv: demo installs what the demo needs (of example-robot-data, the files of one robot), the
# others also what tests and benches need.
# test: unit tests and those over DDS on all cores, then launch files; with ARGS it is `pytest ARGS`.
# test-slow: the tests that make test leaves out: many more cases, whole runs.
# check: ruff, mypy, docstrings, generated pages, links.   coverage: the tests again, counting lines; slower.
# matrix: build, install and try the package with every supported Python that is here; ARGS="3.10 3.12" names some.
# docs: the pages of doc/ and the API as a site, output/docs/html; a warning or a dead link is an error.
# bench: the planner's, the node's and, in short, the faults' table; mbrl bench WHAT --help for more.
# PYTHON makes .venv (3.10 to 3.13). A sourced ROS 2 is used as it is; otherwise ROS 2 comes from PyPI:
# WHEELS=wheels is Jazzy, WHEELS=wheels-kilted is Kilted.
PYTHON ?= python3
WHEELS ?= $(or $(notdir $(wildcard .venv/wheels*)),wheels)
ARGS ?=

SOURCED := $(shell test -n "$$ROS_DISTRO" && $(PYTHON) -c 'import rclpy' 2>/dev/null && echo $$ROS_DISTRO)
ROS := $(or $(SOURCED),$(WHEELS))
comma := ,
OF_DEMO := sim,view$(if $(SOURCED),,$(comma)$(WHEELS))
OF_ALL := $(OF_DEMO),robots,vision,replay,bench,jobs,completion,keypoints,test,check
RUN := .venv/bin
SOURCES := setup.py setup.cfg pyproject.toml package.xml $(wildcard launch/* config/* config/*/*)

.PHONY: install demo test test-slow check coverage bench docs matrix clean

install: .venv/has-all

demo: .venv/has-demo $(if $(findstring visual,$(ARGS)),.venv/has-vision)
	@$(RUN)/mbrl demo $(ARGS)

test: install
	$(RUN)/python $(if $(ARGS),-m pytest $(ARGS),.ci/sessions.py)

test-slow: install
	$(RUN)/python .ci/sessions.py --slow

check: install
	$(RUN)/python .ci/check.py

coverage: install
	$(RUN)/python .ci/cover.py

bench: install
	@failed=0; for what in planner node "faults --quick"; do \
	  echo "$(RUN)/mbrl bench $$what"; $(RUN)/mbrl bench $$what || failed=1; \
	done; exit $$failed

docs: .venv/has-docs
	$(RUN)/python .ci/docs.py

matrix:
	$(PYTHON) .ci/matrix.py $(ARGS)

clean:
	rm -rf .venv build install log dist output *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment per ROS: sourcing another one makes .venv anew.
.venv/$(ROS):
	@$(PYTHON) -c '' 2>/dev/null || { echo "$(PYTHON) does not run; try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) or $(if $(SOURCED),False,sys.version_info >= (3, 14)))' || \
	  { echo "Python 3.10 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1); try: make PYTHON=python3.12" >&2; exit 1; }
	@echo "install: making .venv with $$($(PYTHON) --version), for $(if $(SOURCED),the sourced ROS 2 $(SOURCED),ROS 2 from PyPI ($(WHEELS)))"
	@$(PYTHON) -m venv --clear $(if $(SOURCED),--system-site-packages) .venv || { rm -rf .venv; \
	  echo "$(PYTHON) -m venv failed: install it (Debian, Ubuntu: apt install python3-venv), or try: make PYTHON=python3.12" >&2; exit 1; }
	@echo "install: upgrading pip in .venv"
	@$(RUN)/python -m pip install --quiet --upgrade pip
	@touch $@

.venv/has-demo: .venv/$(ROS) $(SOURCES)
	@$(RUN)/python install.py '$(OF_DEMO)' panda
	@$(RUN)/mbrl build panda --set features.points=1 || echo "install: the demo compiles at its start, or runs without" >&2
	@touch $@

# Image points in the demo's camera, --scenario visual, need OpenCV.
.venv/has-vision: .venv/has-demo
	@$(RUN)/python install.py '$(OF_DEMO),vision'
	@touch $@

.venv/has-docs: .venv/$(ROS) $(SOURCES)
	@$(RUN)/python install.py docs
	@touch $@

.venv/has-all: .venv/has-demo
	@$(RUN)/python install.py '$(OF_ALL)'
	@touch $@
