# make run     everything, from nothing: http://127.0.0.1:8000/
# make test    the checks and the tests
# make check   ruff, ruff format, mypy
# make fuzz    random rules on random lives against a second implementation, mutated bodies; FUZZ_SECONDS=300 each
# make contract schemathesis against the OpenAPI document, all checks and phases; CONTRACT_SECONDS=600
# make interop the clients of other products for tests/interop, and what builds the SDKs (needs Node.js)
# make screenshots  docs/screenshots/ anew, every page judged on the way (needs Chromium, and make interop before)
# make lock    compile the requirement locks anew

.PHONY: run test check suite installed fuzz contract interop screenshots lock
.DEFAULT_GOAL := run

# The first Python on the path that is new enough; the tool says what to do when there is none.
find_python = for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; done; \
	test -n "$$python" || { echo 'Persona needs Python 3.11 or newer; set PYTHON to where it is.' >&2; exit 1; };

python = .venv/bin/python

run:
	@$(find_python) "$$python" tools/install.py requirements.lock
	@exec $(python) manage.py up

# Side by side: neither keeps all processors busy from its first to its last second, and mypy takes what the tests leave.
test:
	@$(MAKE) --no-print-directory --jobs=2 check suite

check: installed
	@$(python) -m ruff check --quiet
	@$(python) -m ruff format --check --quiet
	@nice $(python) -m mypy --no-error-summary .

# More processes than processors: half of the time goes into waiting for real programs. These are hundreds of
# interpreters; none shall compile anew what another one has compiled.
suite: export PYTHONDONTWRITEBYTECODE =
suite: installed
	@$(python) -m pytest -n 3

installed:
	@$(find_python) "$$python" tools/install.py requirements.lock requirements-dev.lock

FUZZ_SECONDS ?= 300
fuzz: installed
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(python) -m pytest tests/rules tests/ingestion/test_hostile.py -k "fuzz or hostile" -s

CONTRACT_SECONDS ?= 600
contract: installed
	@$(python) -m tests.contract.running --seconds $(CONTRACT_SECONDS)

interop:
	@$(find_python) "$$python" -m venv .venv-interop
	@.venv-interop/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
		--require-hashes --no-deps --only-binary :all: -r tests/interop/requirements.lock
	@npm ci --prefix tests/interop --silent --no-audit --no-fund --ignore-scripts
	@npm ci --prefix tests/browser --silent --no-audit --no-fund --ignore-scripts
	@for sdk in browser node; do npm ci --prefix sdks/$$sdk --silent --no-audit --no-fund --ignore-scripts || exit 1; done

screenshots: installed
	@$(python) -m tests.browser.shoot

# No registry's name gets into the locks, and every file is named by its hash.
compile = $(python) -m uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet

lock: installed
	@$(compile) tools/build.in -o requirements-build.lock
	@$(compile) pyproject.toml -o requirements.lock
	@$(compile) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	@$(compile) tests/interop/requirements.in -o tests/interop/requirements.lock
