# make install | demo | test | bench | clean.   make demo ARGS="--lockstep --seed 3"
# bench: the planner's, the node's and, in short, the faults' table; mbrl bench WHAT --help for more.
# PYTHON makes .venv (3.10 to 3.13). A sourced ROS 2 is used as it is; otherwise ROS 2 comes from PyPI:
# WHEELS=wheels is Jazzy, WHEELS=wheels-kilted is Kilted.
PYTHON ?= python3
WHEELS ?= $(or $(notdir $(wildcard .venv/wheels*)),wheels)
ARGS ?=

SOURCED := $(shell test -n "$$ROS_DISTRO" && $(PYTHON) -c 'import rclpy' 2>/dev/null && echo $$ROS_DISTRO)
ROS := $(or $(SOURCED),$(WHEELS))
comma := ,
EXTRAS := sim,replay,bench,test$(if $(SOURCED),,$(comma)$(WHEELS))
RUN := .venv/bin

.PHONY: install demo test bench clean

install: .venv/installed

demo: install
	$(RUN)/mbrl demo $(ARGS)

test: install
	$(RUN)/python -m pytest $(ARGS)

bench: install
	$(RUN)/mbrl bench planner
	$(RUN)/mbrl bench node
	$(RUN)/mbrl bench faults --quick

clean:
	rm -rf .venv build install log dist output *.egg-info .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment per ROS: sourcing another one makes .venv anew.
.venv/$(ROS):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) or $(if $(SOURCED),False,sys.version_info >= (3, 14)))' || \
	  { echo "Python 3.10 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version); try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(if $(SOURCED),--system-site-packages) .venv
	$(RUN)/python -m pip install --quiet --upgrade pip
	touch $@

.venv/installed: .venv/$(ROS) setup.py setup.cfg pyproject.toml package.xml $(wildcard launch/* config/* config/*/*)
	@echo "installing into .venv (about a minute): mbrl_ros[$(EXTRAS)]"
	PYTHONWARNINGS=ignore $(RUN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@
