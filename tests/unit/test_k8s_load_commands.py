"""What the load's containers are given, read by the command line's own parser."""

from loadtests.cli import parser
from tests.unit.kustomizations import containers, one


def test_the_commands_are_those_of_this_version() -> None:
    """Master and worker are called with options that exist, and mean what the manifests say."""
    (master,) = containers([one("k8s/load", "Job", "loadtest-master")])
    python, module, name, *arguments = master["command"]
    assert (python, module, name) == ("python", "-m", "loadtests")
    options = parser().parse_args(arguments)
    assert (options.stack, options.workers, options.remote_workers, options.plain) == ("none", 0, 4, True)
    assert (str(options.bind), int(options.master_port), str(options.out)) == ("0.0.0.0", 5557, "/results")  # noqa: S104  # a pod
    waits = float(options.wait)
    assert options.out in {mount["mountPath"] for mount in master["volumeMounts"]}
    (worker,) = containers([one("k8s/load", "Job", "loadtest-worker")])
    options = parser().parse_args(worker["command"][3:])
    assert options.master == "loadtest-master:5557"
    assert float(options.wait) == waits >= 300.0  # a volume to be attached, an image to be fetched, a node to be made
