# `make up` runs Meet, `make up WITH=transformers` with engines for models of a hub; `make test` checks everything.
# README.md says the rest.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)) python3)
INSTALL = $(PYTHON) localstack/install.py
RUN = .venv/bin/python
# Real people, for the tests of what recognizes them.
SPEECH = /usr/share/asterisk/sounds/en_US_f_Allison=asterisk-core-sounds-en-wav \
  /usr/share/asterisk/sounds/fr_CA_f_June=asterisk-core-sounds-fr-wav \
  /usr/share/pocketsphinx/test/data/librivox=pocketsphinx-testdata
SERVERS = .venvs/ministack/ready .venvs/servers/ready

.PHONY: up doctor test test-unit test-contract check bench bench-sfu soak lock setup
up: .venv/ready $(SERVERS)
	@exec $(RUN) localstack/up.py $(if $(WITH),--with $(WITH))

doctor: .venv/ready
	@set -a; . $${MEET_HOME:-.state}/environment && exec $(RUN) -m sfu doctor

test: check $(SERVERS) .venvs/sam/ready .venvs/npm/ready .venvs/otlp/ready .venvs/inference/ready .venv/engine-ready
	@localstack/debian-packages.sh chromium firefox-esr jq curl ip=iproute2 turnserver=coturn nginx=libnginx-mod-rtmp ffprobe=ffmpeg promtool=prometheus amtool=prometheus-alertmanager
	@localstack/debian-packages.sh $(SPEECH)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-unit test-contract
	$(RUN) -m pytest tests/integration tests/e2e

# Side by side, one a core: neither measures time, and the tests after them want the machine for themselves.
test-unit:
	$(RUN) -m pytest tests/unit
test-contract:
	$(RUN) -m pytest tests/contract

check: .venv/ready-dev
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check . && $(RUN) -m mypy && $(RUN) -m mypy localstack/up.py

bench: .venv/ready-dev $(SERVERS) .venv/engine-ready
	$(RUN) -m pytest tests/bench -q -s

# Ours beside Janus and pion; `ARGS="--rounds 1 --scenarios 1to100"` and so on. Needs root and two idle cores.
bench-sfu: .venv/engine-ready
	@localstack/debian-packages.sh gcc ip=iproute2 janus go=golang-go
	@localstack/debian-packages.sh /usr/include/srtp2/srtp.h=libsrtp2-dev /usr/include/openssl/evp.h=libssl-dev \
	  /usr/share/gocode/src/github.com/pion/webrtc=golang-github-pion-webrtc.v3-dev
	$(RUN) -m tests.bench.forwarding $(ARGS)

soak: .venv/ready-dev $(SERVERS) .venv/engine-ready .venvs/inference/ready .venvs/transformers/ready
	MEET_SOAK=1 $(RUN) -m pytest tests/contract tests/integration/test_fuzz.py tests/unit/sfu/test_loss.py tests/e2e/test_loss.py \
	  tests/e2e/test_ten.py tests/e2e/test_throttled.py tests/integration/test_hostile.py tests/integration/test_worker_kills.py \
	  tests/unit/meet/probe tests/unit/sfu/plane/test_engine_safety.py tests/integration/inference \
	  tests/integration/sfu/test_recorder.py tests/integration/sfu/test_outlets.py tests/unit/sfu/egress -q

lock: .venv/ready-dev
	localstack/lock.sh

setup: .venv/ready-dev $(SERVERS) .venvs/sam/ready

.venv/ready: requirements.lock localstack/install.py pyproject.toml
	@$(INSTALL) .venv requirements.lock --editable . && touch $@

.venv/ready-dev: requirements-dev.lock .venv/ready
	@$(INSTALL) .venv requirements-dev.lock && touch $@

# The data plane's engine in C. Where there is a compiler, installing builds it too; without, `make up` does without it.
.venv/engine-ready: $(wildcard sfu/plane/engine/*.[ch]) pyproject.toml .venv/ready-dev
	@localstack/debian-packages.sh gcc python3-config=python3-dev /usr/include/openssl/evp.h=libssl-dev
	@$(RUN) -W ignore -c "from setuptools import setup; setup()" -q build_ext --inplace
	@$(RUN) -c "import sfu.plane.engine.native" && touch $@

.venvs/npm/ready: tests/npm-lock.json localstack/npm_packages.py .venv/ready
	@$(RUN) localstack/npm_packages.py $< .venvs/npm && touch $@

.venvs/%/ready: localstack/requirements-%.txt localstack/install.py
	@$(INSTALL) .venvs/$* $< && touch $@
