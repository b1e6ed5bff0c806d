# Three commands matter: `make demo`, `make lessons` and `make test`. All prepare .venv first (uv where it is on the path, else venv and pip).
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export JUPYTER_PLATFORM_DIRS := 1

.PHONY: help demo test slow lessons docs quarto export benchmarks results studies clean

help:  ## list what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-11s %s\n", $$1, $$2}'

$(READY): settings.ini setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { v=$$($(PYTHON) --version 2>/dev/null | head -n 1); \
	  echo "srgan_course wants Python 3.11 or newer; '$(PYTHON)' is $${v:-missing}. Give another one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "Preparing .venv: about 8 GB with the CUDA build of torch, once. A smaller one: see 'A small installation' in README.md"
	@if command -v uv >/dev/null 2>&1; then \
	  { [ -x $(BIN)/python ] || uv venv -q --python $(PYTHON) .venv; } && uv pip install -q --python $(BIN)/python -e '.[dev]'; \
	else \
	  { [ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || { echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }; } \
	  && $(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'; \
	fi
	@touch $@

demo: $(READY)  ## train a small SRGAN on real photos, x4, in front of you (minutes); pictures land in demo/
	@$(BIN)/srgan-demo $(ARGS)

test: $(READY)  ## every notebook and every test; closes with 'N passed, N failed'
	@$(BIN)/python tests/run.py $(ARGS)

slow: $(READY)  ## the same with what takes long: fifty kills, the large pictures
	@$(BIN)/python tests/run.py --slow $(ARGS)

lessons: $(READY)  ## Jupyter Lab on the lessons
	@$(BIN)/jupyter lab nbs $(ARGS)

export: $(READY)  ## notebooks -> srgan_course/, then clean the notebooks, write README.md and lint
	@$(BIN)/nbdev-export && $(BIN)/nbdev-clean && $(BIN)/python tests/readme.py --write && $(BIN)/python tests/home.py --write && $(BIN)/ruff check -q .

docs: quarto $(READY)  ## the site, into _docs/ (needs Quarto 1.9 or newer)
	@$(BIN)/python tests/page.py --model && $(BIN)/nbdev-docs

quarto:     # looked for before anything is installed
	@command -v quarto >/dev/null 2>&1 || { echo "make docs needs Quarto, which is not on the path. Get it from https://quarto.org/docs/get-started/, then run make docs again." >&2; exit 2; }
	@v=$$(quarto --version) && [ "$$(printf '1.9\n%s\n' "$$v" | sort -V | head -n 1)" = 1.9 ] \
	  || { echo "make docs needs Quarto 1.9 or newer; this is $$v. Get a newer one from https://quarto.org/docs/get-started/" >&2; exit 2; }

benchmarks: $(READY)  ## the ratios of benchmarks/, written to results/ (a quiet machine, please)
	@for b in upscale upscale_speed data_loading gan_step serve; do echo "== $$b"; $(BIN)/python benchmarks/$$b.py $(ARGS) || exit 1; done

results: $(READY)  ## the figures in results/ anew, as far as cheap; says what changed, what it leaves out, and how long that takes
	@$(BIN)/python benchmarks/results.py $(ARGS)

studies: $(READY)  ## what takes long, one after another: make studies ARGS='--minutes 60'; without ARGS it lists them
	@$(BIN)/python benchmarks/studies.py $(ARGS)

clean:  ## remove what was built; .venv, demo/ and runs/ stay
	@rm -rf _docs _proc build dist .pytest_cache *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
