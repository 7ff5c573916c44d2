"""The load in Kubernetes: master, workers, their secrets and who may connect, true to the harness and to each other."""

import re

from loadtests import settings as names
from loadtests.orchestrate.gathering import MASTER_PORT
from tests.unit.kustomizations import built, containers, kustomization, literals, one, pod, secrets, settings
from tests.unit.manifests import ROOT, Document, config

PAGE = ROOT / "docs" / "kubernetes.md"
OVERRIDES = {"LOADTEST_USERS", "LOADTEST_DURATION", "LOADTEST_SEED", "LOADTEST_SPEED"}
"""settings.overrides."""
OF_CONTAINERS = {"LOADTEST_SERVICES", "LOADTEST_WORKER_NAME"}
KNOWN = {value for value in vars(names).values() if isinstance(value, str)} | OVERRIDES | OF_CONTAINERS
SECRET = {names.JWT_SECRET, names.DSN, names.REDIS_URL, names.BROKER_URL, names.INFLUX_PASSWORD}
MASTER, WORKER = one("k8s/load", "Job", "loadtest-master"), one("k8s/load", "Job", "loadtest-worker")


def command(document: Document) -> list[str]:
    """What its only container runs."""
    (container,) = containers([document])
    return list(container["command"])


def test_master_and_workers_agree() -> None:
    """The number of workers, the port and the name of the master are the same wherever they stand."""
    flags = command(MASTER)
    workers = WORKER["spec"]["parallelism"]
    assert WORKER["spec"]["completions"] == workers == int(flags[flags.index("--remote-workers") + 1])
    (container,) = containers([MASTER])
    (port,) = container["ports"]
    assert port["containerPort"] == MASTER_PORT == int(flags[flags.index("--master-port") + 1])
    service = one("k8s/load", "Service", "loadtest-master")["spec"]
    assert service["ports"] == [{"name": port["name"], "port": MASTER_PORT, "targetPort": port["name"]}]
    assert service["publishNotReadyAddresses"] is True
    assert service["selector"].items() <= MASTER["spec"]["template"]["metadata"]["labels"].items()
    flags = command(WORKER)
    assert flags[flags.index("--master") + 1] == f"loadtest-master:{MASTER_PORT}"


def test_workers_know_the_master_before_it_is_there() -> None:
    """A name that is not known ends a worker at once: the Service has an address of its own, whatever pods there are."""
    assert one("k8s/load", "Service", "loadtest-master")["spec"].get("clusterIP") is None


def test_a_run_is_not_tried_twice() -> None:
    """Neither a master nor a worker that ended is started again: it would be another run, or one that comes too late."""
    assert MASTER["spec"]["backoffLimit"] == 0
    assert (WORKER["spec"]["completionMode"], WORKER["spec"]["backoffLimitPerIndex"]) == ("Indexed", 0)
    assert all(document["spec"]["template"]["spec"]["restartPolicy"] == "Never" for document in (MASTER, WORKER))


def test_every_variable_is_one_of_the_harness() -> None:
    """A misspelt name would be ignored in silence."""
    given = {
        name for document in (MASTER, WORKER) for each in containers([document]) for name in (v["name"] for v in each["env"])
    }
    given |= set(one("k8s/load", "ConfigMap", "loadtest-config")["data"]) - {"SCENARIO", "TARGET"}
    given |= set(one("k8s/load", "ConfigMap", "loadtest-metrics")["data"])
    assert given - KNOWN == set()
    assert set(re.findall(r"\$\((\w+)\)", " ".join(command(MASTER)))) == {"SCENARIO", "TARGET"}


def test_secrets_are_referenced_and_never_held() -> None:
    """No document is a Secret or has a secret's value; workers know the signing key alone, and nothing of the databases."""
    for folder in ("k8s/load", "k8s/dependencies", "k8s/metrics", "k8s-test"):
        assert "Secret" not in {document["kind"] for document in built(folder)}
    assert secrets(MASTER) == {("loadtest-secrets", key) for key in SECRET}
    assert secrets(WORKER) == {("loadtest-secrets", names.JWT_SECRET)}
    for document in built("k8s-test"):
        if pod(document) is not None:
            assert not {name for name in settings(document) if re.search("PASSWORD|SECRET|TOKEN", name)}
        if document["kind"] == "ConfigMap":
            assert not SECRET & set(document["data"])


def test_the_page_makes_the_secrets_that_are_asked_for() -> None:
    """The commands in docs/kubernetes.md give each key that a document refers to, and no other."""
    asked: dict[str, set[str]] = {}
    for document in built("k8s-test"):
        for name, key in secrets(document):
            asked.setdefault(name, set()).add(key)
    assert literals(PAGE.read_text()) == asked


def test_only_workers_reach_the_master() -> None:
    """The namespace refuses everybody, but workers at the master's port."""
    policies = {each["metadata"]["name"]: each["spec"] for each in built("k8s/load") if each["kind"] == "NetworkPolicy"}
    assert policies.pop("deny-ingress") == {"podSelector": {}, "policyTypes": ["Ingress"]}
    ((name, policy),) = policies.items()
    assert name == "loadtest-master"
    assert policy["podSelector"]["matchLabels"].items() <= MASTER["spec"]["template"]["metadata"]["labels"].items()
    (rule,) = policy["ingress"]
    (source,) = rule["from"]
    assert set(source) == {"podSelector"}
    assert source["podSelector"]["matchLabels"].items() <= WORKER["spec"]["template"]["metadata"]["labels"].items()
    assert rule["ports"] == [{"protocol": "TCP", "port": "locust"}]


def test_the_load_stays_off_the_nodes_of_the_stack() -> None:
    """Neither master nor worker is put where a pod of the stack or of its databases runs."""
    labels = {"app.kubernetes.io/part-of": "agenthq"}
    for document in (MASTER, WORKER):
        spec = pod(document)
        assert spec is not None
        (term,) = spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert (term["topologyKey"], term["namespaceSelector"]) == ("kubernetes.io/hostname", {})
        assert term["labelSelector"] == {"matchLabels": labels}
    for folder in ("k8s", "k8s/dependencies"):
        (label,) = kustomization(folder)["labels"]
        assert (label["pairs"], label["includeTemplates"]) == (labels, True)


def test_nodes_can_be_kept_for_the_load() -> None:
    """Master, workers and who copies the results bear the taint that docs/kubernetes.md sets, and nothing of the stack does."""
    (key, effect), *others = re.findall(r"kubectl taint node \S+ (\w+)=\w+:(\w+)", PAGE.read_text())
    toleration = {"key": key, "operator": "Exists", "effect": effect}
    assert not others
    for document in (MASTER, WORKER, one("k8s/load/results", "Pod", "load-results")):
        assert (pod(document) or {})["tolerations"] == [toleration]
    for document in built("k8s-test"):
        if document["metadata"].get("namespace") == "agenthq":
            assert "tolerations" not in (pod(document) or {})


def test_cores_are_whole_and_their_own() -> None:
    """Requests equal limits, in whole cores: what the kubelet's static CPU policy asks of a pod."""
    for document in (MASTER, WORKER):
        (container,) = containers([document])
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert container["resources"]["limits"]["cpu"].isdigit()


def test_addresses_of_the_load_exist() -> None:
    """Target, probed services and InfluxDB are Services of the whole, at ports that they have."""
    services = {
        f"{each['metadata']['name']}.{each['metadata']['namespace']}": {port["port"] for port in each["spec"]["ports"]}
        for each in built("k8s-test")
        if each["kind"] == "Service"
    }
    data = one("k8s/load", "ConfigMap", "loadtest-config")["data"] | one("k8s/load", "ConfigMap", "loadtest-metrics")["data"]
    addresses = re.findall(r"http://([\w.-]+):?(\d*)", " ".join(data.values()))
    assert len(addresses) == 5
    for host, port in addresses:
        assert int(port or 80) in services[host]


def test_the_load_may_reach_what_it_asks() -> None:
    """The stack's namespace lets workers to the API alone, and the master also to what is probed."""
    policies = {each["metadata"]["name"]: each["spec"] for each in built("k8s-test") if each["kind"] == "NetworkPolicy"}
    allowed = {}
    for name in ("load-api", "load-probes"):
        (rule,) = policies[name]["ingress"]
        (source,) = rule["from"]
        assert source["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "loadtest"}
        who = source["podSelector"]["matchExpressions"][0]["values"]
        allowed[name] = (policies[name]["podSelector"]["matchExpressions"][0]["values"], who)
    assert allowed == {
        "load-api": (["backend"], ["loadtest-master", "loadtest-worker"]),
        "load-probes": (["worker", "relay", "postgres", "cache", "broker"], ["loadtest-master"]),
    }


def test_databases_hold_what_the_stack_promises() -> None:
    """PostgreSQL has more connections than the budget, the broker never evicts, and the cache may."""
    (postgres,) = containers([one("k8s/dependencies", "StatefulSet", "postgres")])
    limit = int(re.findall(r"max_connections=(\d+)", " ".join(postgres["args"]))[0])
    assert limit > int(config()["API_INSTANCES"]) * int(config()["DB_POOL_SIZE"])
    scripts = {name: command(one("k8s/dependencies", "StatefulSet", name))[-1] for name in ("cache", "broker")}
    assert "maxmemory-policy allkeys-lru" in scripts["cache"]
    assert "maxmemory-policy noeviction" in scripts["broker"]
    assert all("requirepass $REDIS_PASSWORD" in script for script in scripts.values())
