"""Each way out in a process of its own, since both change libraries for good."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest

from meet import tracing
from tests.collectors import collector, daemon, spans, with_otlp

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"
BEGINNING = """
    import asyncio
    from meet import tracing
"""


def run(script: str, **env: str) -> list[str]:
    """The lines that a script printed, which began with tracing on."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(BEGINNING) + dedent(script)],
        env=with_otlp(**env, AWS_LAMBDA_FUNCTION_NAME="x") if env.get("MEET_TRACING") == "otlp" else os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


class TestOff:
    def test_nothing_is_traced_and_nothing_loaded(self) -> None:
        script = """
            with tracing.segment("one", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"):
                print(tracing.header(), tracing.trace_id())
            import sys
            print(any(name.startswith(("aws_xray_sdk", "opentelemetry")) for name in sys.modules))
        """
        assert run(script) == ["None None", "False"]


SCRIPT = f"""
    with tracing.segment("edge", "Root={ROOT};Parent={PARENT};Sampled=1"):
        print(tracing.header())
        print(tracing.trace_id())
"""
TASKS = """
    async def one(name):
        with tracing.segment(name):
            await asyncio.sleep(0)
            before = tracing.header()
            inside = await asyncio.to_thread(tracing.header)
            await asyncio.sleep(0)
            print(before == inside == tracing.header())
        return before

    async def both():
        a, b = await asyncio.gather(one("a"), one("b"))
        print(a != b)

    asyncio.run(both())
    print(tracing.header())
"""
UNSAMPLED = f"""
    with tracing.segment("edge", "Root={ROOT};Parent={PARENT};Sampled=0"):
        print(tracing.header())
"""
NONSENSE = """
    with tracing.segment("edge", "Root=../../etc/passwd\\r\\nX: y"):
        print(tracing.trace_id())
"""
FAILING = """
    try:
        with tracing.segment("edge"):
            raise KeyError("x")
    except KeyError:
        print("raised")
"""
NESTED = """
    with tracing.segment("outer"):
        outer = tracing.header()
        with tracing.segment("inner"):
            inner = tracing.header()
        print(tracing.header() == outer != inner, tracing.trace_id() in inner)
"""


class TestXRay:
    def test_a_segment_goes_on_with_its_callers_trace(self) -> None:
        with daemon() as there:
            header, trace_id = run(SCRIPT, MEET_TRACING="xray", MEET_TRACING_ENDPOINT=there.address)
            [segment] = there.collect()
        assert (segment["name"], segment["trace_id"], segment["parent_id"]) == ("edge", ROOT, PARENT)
        assert trace_id == ROOT
        assert header == f"Root={ROOT};Parent={segment['id']};Sampled=1"

    def test_tasks_and_their_threads_know_their_own(self) -> None:
        with daemon() as there:
            assert run(TASKS, MEET_TRACING="xray", MEET_TRACING_ENDPOINT=there.address) == [*["True"] * 3, "None"]
            assert {segment["name"] for segment in there.collect()} == {"a", "b"}

    def test_what_is_not_to_be_kept_is_handed_on_and_not_sent(self) -> None:
        with daemon() as there:
            [header] = run(UNSAMPLED, MEET_TRACING="xray", MEET_TRACING_ENDPOINT=there.address)
            assert there.collect() == []
        assert header.startswith(f"Root={ROOT};")
        assert header.endswith(";Sampled=0")

    def test_a_header_that_is_none_begins_a_trace(self) -> None:
        with daemon() as there:
            [trace_id] = run(NONSENSE, MEET_TRACING="xray", MEET_TRACING_ENDPOINT=there.address)
            assert [segment["trace_id"] for segment in there.collect()] == [trace_id]

    def test_what_fails_is_marked(self) -> None:
        with daemon() as there:
            assert run(FAILING, MEET_TRACING="xray", MEET_TRACING_ENDPOINT=there.address) == ["raised"]
            assert there.collect()[0]["fault"] is True

    def test_a_segment_within_another_is_part_of_it(self) -> None:
        with daemon() as there:
            assert run(NESTED, MEET_TRACING="xray", MEET_TRACING_ENDPOINT=there.address) == ["True True"]
            [segment] = there.collect()
        assert [part["name"] for part in segment["subsegments"]] == ["inner"]

    def test_a_share_of_none_keeps_nothing(self) -> None:
        with daemon() as there:
            run(NESTED, MEET_TRACING="xray", MEET_TRACING_ENDPOINT=there.address, MEET_TRACING_SHARE="0")
            assert there.collect() == []


class TestOtlp:
    def test_a_span_goes_on_with_its_callers_trace(self) -> None:
        with collector() as (url, bodies):
            header, trace_id = run(SCRIPT, MEET_TRACING="otlp", MEET_TRACING_ENDPOINT=url)
        [span] = spans(bodies)
        assert span == {
            "service": "edge",
            "name": "edge",
            "trace_id": ROOT.replace("-", "")[1:],
            "span_id": span["span_id"],
            "parent_span_id": PARENT,
        }
        assert trace_id == ROOT
        assert header == f"Root={ROOT};Parent={span['span_id']};Sampled=1"

    def test_tasks_and_their_threads_know_their_own(self) -> None:
        with collector() as (url, bodies):
            assert run(TASKS, MEET_TRACING="otlp", MEET_TRACING_ENDPOINT=url) == [*["True"] * 3, "None"]
        assert {span["name"] for span in spans(bodies)} == {"a", "b"}

    def test_what_is_not_to_be_kept_is_handed_on_and_not_sent(self) -> None:
        with collector() as (url, bodies):
            [header] = run(UNSAMPLED, MEET_TRACING="otlp", MEET_TRACING_ENDPOINT=url)
        assert bodies == []
        assert header.startswith(f"Root={ROOT};")
        assert header.endswith(";Sampled=0")

    def test_a_span_within_another_is_part_of_it(self) -> None:
        with collector() as (url, bodies):
            assert run(NESTED, MEET_TRACING="otlp", MEET_TRACING_ENDPOINT=url) == ["True True"]
        inner, outer = spans(bodies)
        assert inner["parent_span_id"] == outer["span_id"]


def test_outside_of_everything_there_is_no_header() -> None:
    assert tracing.header() is None
    assert tracing.trace_id() is None


@pytest.mark.parametrize("name", ["aws_xray_sdk", "opentelemetry.sdk"])
def test_no_function_loads_a_tracer_that_nobody_asked_for(name: str) -> None:
    script = "import sys, meet.tracing, meet.web.app; print(any(m.startswith(sys.argv[1]) for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script, name], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
