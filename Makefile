# The commands of this project by name; `make` alone lists them.

PYTHON ?= python3
CARGO ?= cargo
# Other versions than 14 (that of Debian 12) lay out a few lines differently.
CLANG_FORMAT ?= clang-format
DOXYGEN ?= doxygen
PREFIX ?= /usr/local
LIBDIR ?= lib
# The headers in include are generated and keep cbindgen's layout.
C_SOURCES = $(shell find bindings examples tests trainer/tests -name '*.[ch]' -o -name '*.[ch]pp') \
	$(wildcard src/cuda/kernels/*) include/drr_train_mpi.h

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build install wheel demo bench bench-training test packages unit test-ranks test-aarch64 test-asan \
	test-tsan test-miri fuzz fuzz-smoke test-python test-paraview header kernels lint docs clean

help: ## list these targets
	@echo "usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## check the build tools and fetch a CPU-only libtorch, once
	@$(PYTHON) tools/setup.py

# What needs libtorch needs the link to it, wherever that leads.
.libtorch:
	@$(PYTHON) tools/setup.py

build: ## build the query library, target/release/libdrr.so (needs no libtorch)
	$(CARGO) build --release

install: ## build and install the query library: PREFIX=/usr/local LIBDIR=lib DESTDIR= (TRAIN=1: libdrr_train too)
	@CARGO=$(CARGO) $(PYTHON) tools/install.py --prefix "$(PREFIX)" --libdir "$(LIBDIR)" \
		--destdir "$(DESTDIR)" $(if $(TRAIN),--train)

demo: setup ## train, bake and query the example ensemble, some minutes
	$(CARGO) build --release --workspace
	@bash tools/demo.sh

# What BENCH holds goes to the benchmark as it is; BENCH=--help lists what it understands.
bench: .libtorch ## measure queries against competitors and the machine's limit (QUICK=1, MODEL=name)
	$(CARGO) bench -p drr-train --bench cpu_query -- --python $(PYTHON) \
		$(if $(QUICK),--quick) $(MODEL:%=--model %) $(BENCH)

bench-training: .libtorch ## measure training steps against PyTorch's eager functions (BENCH=--help)
	$(CARGO) bench -p drr-train --bench train_step -- $(BENCH)

TESTS = setup packages lint docs unit test-ranks fuzz-smoke test-python test-paraview
test: ## check everything: set-up, formats and lints, documentation, tests in all languages
	@for step in $(TESTS); do \
		echo "make test: $$step"; \
		$(MAKE) --no-print-directory $$step || { echo "make test: FAILED in $$step"; exit 1; }; \
	done
	@$(PYTHON) tools/packages.py
	@echo "make test: PASSED ($(TESTS))"

packages: ## name the programs that tests lack here; where CI is set, install them
	@CARGO=$(CARGO) $(PYTHON) tools/packages.py $(if $(CI),--install)

unit: .libtorch ## run the tests of the library, the trainer and the tools
	$(CARGO) test --workspace
	$(PYTHON) -m unittest discover tools
	@test -d ../shared/goldens || \
		echo "skipped: tests against the reference's outputs (there is no ../shared/goldens)"

test-ranks: .libtorch ## train one model by several processes, where MPI is installed
	@if command -v mpicc >/dev/null && command -v mpirun >/dev/null; then \
		echo "$(CARGO) test -p drr-train --features mpi --test ranks --test decompose"; \
		$(CARGO) test -p drr-train --features mpi --test ranks --test decompose; \
	else echo "skipped: training by several processes (mpicc or mpirun is not installed)"; fi

test-aarch64: ## run the library's tests on an emulated 64-bit ARM machine, where that is installed
	@CARGO=$(CARGO) bash tools/test_aarch64.sh

# The compiler has AddressSanitizer built in, but calls it unfinished: hence the variable.
SANITIZED = x86_64-unknown-linux-gnu
test-asan: ## run the C and C++ tests with AddressSanitizer in the library, and UBSan on their side
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address $(CARGO) rustc --release --lib --crate-type staticlib \
		--target $(SANITIZED) --target-dir target/asan
	DRR_ASAN_LIBRARY=$(CURDIR)/target/asan/$(SANITIZED)/release/libdrr.a \
		$(CARGO) test --test capi --test bindings_cpp

# As above. The standard library is not watched, which the compiler has to be told is meant.
test-tsan: ## run many threads at once with ThreadSanitizer in the library and the C program (clang)
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" \
		$(CARGO) rustc --lib --crate-type staticlib --target $(SANITIZED) --target-dir target/tsan
	DRR_TSAN_LIBRARY=$(CURDIR)/target/tsan/$(SANITIZED)/debug/libdrr.a \
		DRR_TSAN_RUNTIME=$$(echo $$(rustc --print sysroot)/lib/rustlib/$(SANITIZED)/lib/*_rt.tsan.a) \
		$(CARGO) test --test threads

test-miri: ## run tests of the C ABI and of the arrays in it under Miri, where that is installed
	@if $(CARGO) miri --version >/dev/null 2>&1; then \
		DRR_CPU=scalar MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) miri test --lib capi:: && \
		DRR_CPU=scalar MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) miri test --lib sampler:: && \
		DRR_CPU=scalar MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) miri test --test capi_from_rust; \
	else echo "skipped: Miri (rustup component add miri, of a nightly toolchain)"; fi

fuzz: ## look for inputs that are not survived: FUZZ_SECONDS=900 for each of FUZZ_TARGETS
	@CARGO=$(CARGO) bash tools/fuzz.sh long

fuzz-smoke: ## run the seeds of all fuzz targets, and some new inputs, where cargo-fuzz is installed
	@CARGO=$(CARGO) bash tools/fuzz.sh smoke

wheel: ## build the Python wheel, target/python/wheel (fetches setuptools)
	@PYTHON=$(PYTHON) CARGO=$(CARGO) bash tools/test_python.sh

test-python: ## build the Python wheel and test it in a fresh environment (fetches numpy, xarray, mypy)
	@PYTHON=$(PYTHON) CARGO=$(CARGO) bash tools/test_python.sh test

test-paraview: ## build the VTK module and the ParaView plugin and test them, where ParaView is installed
	@PYTHON=$(PYTHON) CARGO=$(CARGO) bash tests/paraview/run.sh

kernels: ## compile the CUDA kernels to the PTX that the library embeds (fetches NVRTC, 50 MB)
	@$(PYTHON) tools/ptx.py

header: .libtorch ## write the headers in include and the lists of what they declare anew from the Rust sources
	DRR_UPDATE_HEADER=1 $(CARGO) test --test header
	DRR_UPDATE_HEADER=1 $(CARGO) test --test layout --test abi
	DRR_UPDATE_HEADER=1 $(CARGO) test --test symbols declares
	DRR_UPDATE_HEADER=1 $(CARGO) test -p drr-train --test header header_is_fresh

lint: .libtorch ## check formatting and lints, as far as the tools are installed
	@if $(CARGO) fmt --version >/dev/null 2>&1; then \
		echo "$(CARGO) fmt --all --check"; $(CARGO) fmt --all --check && \
		$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check; \
	else echo "skipped: the format of the Rust sources (rustup component add rustfmt)"; fi
	@if $(CARGO) clippy --version >/dev/null 2>&1; then \
		echo "$(CARGO) clippy"; $(CARGO) clippy --workspace --all-targets -- -D warnings && \
		$(CARGO) clippy --manifest-path fuzz/Cargo.toml --target-dir target \
			--all-targets -- -D warnings; \
	else echo "skipped: lints of the Rust sources (rustup component add clippy)"; fi
	@if command -v $(CLANG_FORMAT) >/dev/null; then \
		echo "$(CLANG_FORMAT) --dry-run -Werror (the C sources)"; \
		$(CLANG_FORMAT) --dry-run -Werror $(C_SOURCES); \
	else \
		echo "skipped: the format of the C sources ($(CLANG_FORMAT) is not installed)"; \
	fi

docs: .libtorch ## build the documentation of the Rust packages and of the C header
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	@if command -v $(DOXYGEN) >/dev/null; then \
		echo "$(DOXYGEN) docs/Doxyfile"; mkdir -p target/doc/c; $(DOXYGEN) docs/Doxyfile; \
	else echo "skipped: the documentation of the C header ($(DOXYGEN) is not installed)"; fi

clean: ## remove what was built and the demo's results; a fetched libtorch stays
	$(CARGO) clean
	rm -rf demo
