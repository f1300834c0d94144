# make demo   sets everything up and shows what each penalty does to a network
# make test   sets everything up and runs all tests, Python's and C++'s
# make pictures   draws those of the documentation anew
# make bench   times taut beside NumPy, Eigen and, after make frameworks, torch, JAX and Keras; with
#              QUICK=1 in minutes; KINDS="l2 memory", JSON=FILE, CHARTS=FOLDER
# make bench-detailed   runs the programs in benchmarks/, each for a question of its own, after make
#              frameworks; NAMES="gram scaling", DETAILED=FILE
# make figures   writes the pages' figures from benchmarks/results/
# make docs   builds the documentation's site in build/docs, and fails on a warning
# make test-packaging   builds the sdist and the wheel, and checks what they hold
# make soak   random calls of everything from eight threads for five minutes, with forks and interrupts
#              among them; then 100,000 calls of every entry, some five minutes, which must leave no memory
#              behind. Shorter with SECONDS=30 CALLS=2000; another time of it with SEED=2
# make tsan   the tests of threads, and a short soak of Python's module, under the thread sanitizer
# make fuzz   looks for an input that breaks a promise, ten minutes in the core and ten in Python; with
#              SECONDS=60 a minute each. It needs clang
# make mutants   makes taut wrong in many places, one at a time, and runs the tests that must notice;
#              with QUICK=1 in a few; ONLY="name", JOBS=2
# make lint   what CI checks beside the tests
# make test-emulated   the core's tests on an older processor and on an Arm one, by qemu-user, and
#                      on Windows, by Wine
# make frameworks   installs the frameworks whose tests are left out without them
# make test-oldest-jax   runs JAX's tests against the oldest JAX that taut works with
# All of it goes into .venv and build/, but for Wine's files; `make clean` removes all.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
JAXLIB := build/jaxlib
# The last is where Debian has it.
WINE := $(firstword $(shell command -v wine64 || command -v wine) /usr/lib/wine/wine64)
WINESERVER := $(firstword $(shell command -v wineserver) /usr/lib/wine/wineserver)
WINEPREFIX_OF_TESTS := $(or $(TMPDIR),/tmp)/taut-wine-$(shell id -u)

BUILD_REQUIREMENTS := "scikit-build-core>=0.11" "pybind11>=3.0" cmake ninja
SOURCES := $(shell find cpp python -type f -not -name '*.pyc') CMakeLists.txt pyproject.toml README.md LICENSE

.PHONY: all demo pictures docs test test-python test-cpp test-quick test-emulated test-aarch64 test-windows
.PHONY: bench bench-detailed figures test-packaging frameworks test-oldest-jax soak sanitize tsan
.PHONY: fuzz fuzz-core fuzz-python mutants lint format clean
all: test
# One pip at a time in $(VENV); compilers and tests have jobs of their own.
.NOTPARALLEL:

# A PYTHON= that is named, and is another than made $(VENV), makes it anew.
MADE_WITH := import sys; print(sys.version, sys.base_prefix)
ifneq ($(origin PYTHON),file)
  ifneq ($(shell "$(PYTHON)" -c '$(MADE_WITH)' 2>&1),$(shell cat $(VENV)/made-with 2>&1))
    .PHONY: $(VENV)/created
  endif
endif

$(VENV)/created:
	@command -v "$(PYTHON)" > /dev/null || { echo "There is no $(PYTHON): install Python 3.10 or newer, \
	or name it, as in \`make PYTHON=python3.12\`."; exit 1; } >&2
	@"$(PYTHON)" packaging/check_machine.py
	@echo "Making an environment in $(VENV), of $$("$(PYTHON)" --version)"
	@# By the Python that PYTHON is of, for it may be the one in $(VENV).
	@base="$$("$(PYTHON)" -c 'import sys; print(sys._base_executable)')" && \
	  rm -rf $(VENV) && "$$base" -m venv $(VENV) && "$$base" -c '$(MADE_WITH)' > $(VENV)/made-with
	@$(PIP) --retries 1 --upgrade "pip>=25.1" $(BUILD_REQUIREMENTS) > $(VENV)/pip.log 2>&1 || { \
	  echo "pip could not install what the build needs. Is there a way to a package index? Its own \
	words are in $(VENV)/pip.log."; exit 1; } >&2
	@touch $@

# The jaxlib whose headers JAX's handler is built on, beside the newer one that the tests may use.
$(VENV)/jaxlib: $(VENV)/created packaging/taut_build.py
	@echo "Fetching the headers of XLA"
	@rm -rf $(JAXLIB)
	@requirement="$$($(BIN)/python packaging/taut_build.py)"; \
	  test -z "$$requirement" || $(PIP) --no-deps --target $(JAXLIB) "$$requirement"
	@mkdir -p $(JAXLIB) && find $(JAXLIB) -type f -not -path '*/jaxlib/include/*' -delete
	@touch $@

# Built without isolation, so that a second build compiles only what has changed; in a folder of its own,
# since `pip install .` leaves its own one set up for an environment that is gone.
BUILD := $(PIP) --no-build-isolation --config-settings=build-dir=build/python/{wheel_tag} \
  --config-settings=cmake.define.TAUT_XLA_INCLUDE_DIR="$(CURDIR)/$(JAXLIB)/jaxlib/include"
$(VENV)/installed: $(VENV)/jaxlib $(SOURCES)
	@echo "Compiling the kernels, which takes some minutes the first time"
	@$(BUILD) .
	@touch $@

$(VENV)/demo: $(VENV)/installed
	@echo "Installing what the demo trains and draws with"
	@$(BUILD) ".[demo]"
	@touch $@

$(VENV)/bench: $(VENV)/installed
	@echo "Installing what the benchmarks draw with, and Eigen"
	@$(BUILD) ".[bench]"
	@$(PIP) --group eigen
	@touch $@

$(VENV)/tests: $(VENV)/demo pyproject.toml
	@echo "Installing what the tests need"
	@$(BUILD) ".[demo,inspect]"
	@$(PIP) --group test
	@$(PIP) --ignore-requires-python --no-deps comma-deps-catch2
	@touch $@

# The oldest Keras lies beside the newest one, for tests that ask for it.
$(VENV)/frameworks: $(VENV)/tests
	@echo "Installing torch, JAX, TensorFlow and Keras"
	@$(PIP) --group frameworks
	@$(PIP) --no-deps --upgrade --target build/keras-oldest --group keras-oldest
	@touch $@

$(VENV)/lint: $(VENV)/created pyproject.toml
	$(PIP) --group lint --group test numpy
	touch $@

demo: $(VENV)/demo
	$(BIN)/taut demo --output demo.png

pictures: $(VENV)/demo
	$(BIN)/python docs/pictures/draw.py

JSON ?= build/bench.json
CHARTS ?= build/bench
bench: $(VENV)/bench
	@mkdir -p build
	$(BIN)/python -m taut bench $(KINDS) $(if $(QUICK),--quick) --json "$(JSON)" --charts "$(CHARTS)"

DETAILED ?= build/detailed.json
bench-detailed: $(VENV)/bench
	@mkdir -p build
	$(BIN)/python benchmarks/detailed.py $(NAMES) --json "$(DETAILED)"

figures: $(VENV)/bench
	$(BIN)/python benchmarks/figures.py

$(VENV)/docs: $(VENV)/installed
	@echo "Installing what the site is built with"
	@$(PIP) --group docs
	@touch $@

# From scratch, so that pages which no longer exist are not left behind.
docs: $(VENV)/docs
	rm -rf build/docs
	$(BIN)/python -m sphinx -W --keep-going -n docs build/docs

# Both run whether or not the other passes; what ends it says which did.
test: $(VENV)/tests
	@rm -f $(RESULTS)/*.xml
	@failed=0; \
	  $(MAKE) --no-print-directory test-cpp || failed=1; \
	  $(MAKE) --no-print-directory test-python || failed=1; \
	  $(BIN)/python tests/summary.py $(RESULTS)/python.xml $(RESULTS)/cpp.xml || failed=1; \
	  exit $$failed

# Whole files to a process, so that what a file has made ready serves all of its tests.
RESULTS := build/results
test-python: $(VENV)/tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile \
	  --junitxml=$(RESULTS)/python.xml

test-quick: $(VENV)/tests
	$(BIN)/python -m pytest -m "not slow"

frameworks: $(VENV)/frameworks

# The very module that is tested against the newest JAX, in an environment with the oldest.
OLDEST := build/oldest-jax
test-oldest-jax: $(VENV)/installed
	rm -rf $(OLDEST)
	"$(PYTHON)" -m venv $(OLDEST)
	jaxlib="$$($(BIN)/python packaging/taut_build.py)"; \
	  $(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	    "$$jaxlib" "$$(echo $$jaxlib | sed s/jaxlib/jax/)" pytest hypothesis ml_dtypes
	cp -r "$$($(BIN)/python -c 'import taut; print(taut.__path__[0])')" \
	  "$$($(OLDEST)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	CI=true $(OLDEST)/bin/python -m pytest tests/python/test_jax.py tests/python/test_jax_use.py

# $(1): the preset to configure and build the core with.
define build_core
	mkdir -p build && $(BIN)/python tests/cpp/initial_cache.py > build/tests.cmake
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --preset $(1) -C build/tests.cmake
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build --preset $(1)
endef

# $(1): likewise; $(2): the preset to test it with, the same unless given.
define run_cpp_tests
	$(call build_core,$(1))
	PATH="$(CURDIR)/$(BIN):$$PATH" ctest --preset $(or $(2),$(1)) $(3)
endef

test-cpp: $(VENV)/tests
	$(call run_cpp_tests,release,,--output-junit "$(CURDIR)/$(RESULTS)/cpp.xml")

$(VENV)/packaging: $(VENV)/created pyproject.toml
	$(PIP) --group packaging
	touch $@

test-packaging: $(VENV)/packaging
	$(BIN)/python -m pytest tests/packaging

soak: SECONDS ?= 300
CALLS ?= 100000
SEED ?= 1
soak: $(VENV)/tests
	$(BIN)/python tests/soak/soak.py --seconds $(SECONDS) --seed $(SEED)
	$(BIN)/python tests/soak/growth.py --calls $(CALLS) --seed $(SEED)

sanitize: $(VENV)/tests
	$(call run_cpp_tests,sanitizers)

tsan: $(VENV)/tests
	$(call run_cpp_tests,tsan)

# Seconds that each fuzzer has. What one of them finds is told as a test to paste, and lies in
# build/fuzz/; so do the inputs with which it goes on the next time.
fuzz-core fuzz-python: SECONDS ?= 600
FUZZERS := build/cpp/fuzz/tests/cpp/fuzz
fuzz: fuzz-core fuzz-python

fuzz-core: $(VENV)/tests
	$(call build_core,fuzz)
	mkdir -p build/fuzz/corpus
	rm -f build/fuzz/*-*
	$(FUZZERS)/fuzz_core -max_total_time=$(SECONDS) -max_len=256 -len_control=0 -timeout=60 -print_final_stats=1 \
	  -verbosity=0 -print_funcs=0 -artifact_prefix=build/fuzz/ build/fuzz/corpus tests/cpp/fuzz/corpus \
	  || { $(FUZZERS)/replay --print build/fuzz/*-*; exit 1; }

fuzz-python: $(VENV)/tests
	$(BIN)/python tests/python/fuzz/run.py $(SECONDS)

mutants: $(VENV)/frameworks
	$(call build_core,release)
	$(BIN)/python tests/mutants $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) \
	  $(if $(JOBS),--jobs $(JOBS))

# $(1): a target for another machine; $(2), $(3): the compiler and the emulator that it needs. In CI
# nothing may be left out.
define run_if_possible
	+@if command -v $(2) && command -v $(3); then \
	  $(MAKE) $(1); \
	else \
	  echo "$(1) is not run: there is no $(2) or no $(3) on this machine"; \
	  [ -z "$$CI" ]; \
	fi
endef

test-emulated: $(VENV)/tests
	$(call run_cpp_tests,release,emulated)
	$(call run_if_possible,test-aarch64,aarch64-linux-gnu-g++,qemu-aarch64)
	$(call run_if_possible,test-windows,x86_64-w64-mingw32-g++-posix,$(WINE))

test-aarch64: $(VENV)/tests
	$(call run_cpp_tests,aarch64)

# A Wine of its own, so that nobody's is changed. Not in build/: it has links to the whole disk, which
# what packs an sdist would follow. Its server stays for all tests (ten minutes after the last, where
# one failed): Debian's ends as soon as nothing runs, which may be just as the next test connects.
test-windows: export WINEPREFIX := $(WINEPREFIX_OF_TESTS)
test-windows: export WINEDEBUG := -all
test-windows: $(VENV)/tests
	mkdir -p "$(WINEPREFIX)"
	-$(WINESERVER) --kill >/dev/null 2>&1
	$(WINESERVER) --persistent=600 >/dev/null 2>&1
	$(WINE) wineboot --init
	$(call run_cpp_tests,windows)
	$(WINESERVER) --kill

lint: $(VENV)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files '*.cpp' '*.hpp')

format: $(VENV)/lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(git ls-files '*.cpp' '*.hpp')

clean:
	rm -rf $(VENV) build "$(WINEPREFIX_OF_TESTS)"
