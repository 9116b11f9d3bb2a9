"""The templates say what the code says: the same resources, methods, tables, indexes and expiries."""

import json
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
import yaml

import meet.store
from functions.gateway import ROUTES, Resources
from functions.workers.sweeper import SWEEPS
from meet.config import Settings
from meet.queue import DEAD_KEPT_S, MOST_RECEIVES, VISIBILITY_S, Queue
from meet.store.base import TABLES

ROOT = Path(__file__).resolve().parent.parent.parent
AREAS = {
    "users": "Users",
    "meetings": "Meetings",
    "rooms": "Rooms",
    "media": "Media",
    "ffmpeg": "Ffmpeg",
    "recordings": "Recordings",
    "ai": "Ai",
}

Template = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions, of which only the argument is kept."""


def _argument(loader: _Loader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    raise yaml.YAMLError(f"a function of CloudFormation on {node.tag}")


_Loader.add_multi_constructor("!", _argument)


def read(name: str) -> Template:
    template: Template = yaml.load((ROOT / name).read_text(), _Loader)  # noqa: S506 - a SafeLoader
    return template


def events(area: str) -> dict[str, set[str]]:
    """The resources of a function and the methods of each, as the template has them."""
    function = read("template.yaml")["Resources"][f"{AREAS[area]}Function"]["Properties"]
    assert function["Handler"] == f"{area}.app.handler"
    found: dict[str, set[str]] = {}
    for event in function["Events"].values():
        found.setdefault(event["Properties"]["Path"], set()).add(event["Properties"]["Method"])
    return found


def test_the_gateway_has_the_resources_of_the_template() -> None:
    assert {area: set(paths) for area, paths in ROUTES.items()} == {area: set(events(area)) for area in AREAS}


@pytest.mark.parametrize("area", AREAS)
def test_each_route_is_reached_by_its_method(area: str) -> None:
    resources = Resources({area: ROUTES[area]})
    used: dict[str, set[str]] = {}
    for route in import_module(f"functions.{area}.app").app.routes:
        found = resources.find(route.path)
        assert found, f"{route.path} is no resource of {area}"
        used.setdefault(found.path, set()).update(route.methods - {"HEAD"})
    deployed = events(area)
    assert {path: methods - deployed[path] for path, methods in used.items() if methods - deployed[path]} == {}


def test_the_worker_is_fed_by_the_queue() -> None:
    """AWS refuses the mapping where a message would be seen again while the function may still run."""
    function = read("template.yaml")["Resources"]["FfmpegWorkerFunction"]["Properties"]
    assert import_module("functions." + function["Handler"].removesuffix(".handler")).handler
    assert function["Timeout"] <= VISIBILITY_S
    event = function["Events"]["Jobs"]["Properties"]
    assert event["Queue"] == "Data.Outputs.FfmpegQueueArn"
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_container_of_long_jobs_is_told_what_the_function_of_short_ones_is() -> None:
    [container] = read("infra/worker.yaml")["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    told = {variable["Name"] for variable in container["Environment"]}
    everybody = set(read("template.yaml")["Globals"]["Function"]["Environment"]["Variables"])
    assert everybody - told == {"MEET_PUBLIC_BASE_URL", "MEET_JWT_SECRET"}, "a worker answers nobody"
    assert {name.removeprefix("MEET_").lower() for name in told} <= Settings.model_fields.keys()


def test_the_container_is_made_of_what_is_there() -> None:
    dockerfile = (ROOT / "functions" / "workers" / "ffmpeg" / "Dockerfile").read_text()
    copied = [word for line in dockerfile.splitlines() if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert copied
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert find_spec(re.search(r'"-m", "([\w.]+)"', dockerfile)[1])  # type: ignore[index]  # None fails the test, too


def test_each_sweep_is_scheduled() -> None:
    function = read("template.yaml")["Resources"]["SweeperFunction"]["Properties"]
    assert import_module("functions." + function["Handler"].removesuffix(".handler")).handler
    scheduled = [json.loads(event["Properties"]["Input"]) for event in function["Events"].values()]
    assert scheduled == [{"sweep": name} for name in SWEEPS]


def _tables() -> dict[str, Template]:
    resources = read("infra/data.yaml")["Resources"].values()
    found = [each["Properties"] for each in resources if each["Type"] == "AWS::DynamoDB::Table"]
    return {table["TableName"].removeprefix("${TablePrefix}"): table for table in found}


def _keys(schema: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {(key["AttributeName"], key["KeyType"]) for key in schema}


def test_tables_are_those_of_the_stores() -> None:
    for module in iter_modules(meet.store.__path__):
        import_module(f"meet.store.{module.name}")
    deployed = _tables()
    stores = [row for row in TABLES if row.__module__.startswith("meet.")]
    assert {row.table for row in stores} == set(deployed)
    for row in stores:
        table, schema = deployed[row.table], row._get_schema()
        assert _keys(table["KeySchema"]) == _keys(schema["key_schema"]), row.table
        attributes = {(each["AttributeName"], each["AttributeType"]) for each in table["AttributeDefinitions"]}
        assert attributes == {
            (each["AttributeName"], each["AttributeType"]) for each in schema["attribute_definitions"]
        }, row.table
        indexes = {
            (each["IndexName"], frozenset(_keys(each["KeySchema"])), each["Projection"]["ProjectionType"])
            for each in table.get("GlobalSecondaryIndexes", [])
        }
        assert indexes == {
            (each["index_name"], frozenset(_keys(each["key_schema"])), each["projection"]["ProjectionType"])
            for each in schema["global_secondary_indexes"]
        }, row.table
        expiry = row._ttl_attribute()
        expected = {"AttributeName": expiry.attr_name, "Enabled": True} if expiry else None
        assert table.get("TimeToLiveSpecification") == expected, row.table


@pytest.mark.parametrize("queue", Queue)
def test_queues_are_those_of_the_code(queue: Queue) -> None:
    resources = read("infra/data.yaml")["Resources"]
    found = {
        each["Properties"]["QueueName"]: each for each in resources.values() if each["Type"] == "AWS::SQS::Queue"
    }
    assert len(found) == 2 * len(Queue)
    name = f"${{QueuePrefix}}{queue.value}"
    waiting, dead = found[name]["Properties"], found[f"{name}-dead"]["Properties"]
    assert waiting["VisibilityTimeout"] == VISIBILITY_S
    target = resources[waiting["RedrivePolicy"]["deadLetterTargetArn"].removesuffix(".Arn")]
    assert target["Properties"] == dead
    assert waiting["RedrivePolicy"]["maxReceiveCount"] == MOST_RECEIVES
    assert dead["MessageRetentionPeriod"] == DEAD_KEPT_S
