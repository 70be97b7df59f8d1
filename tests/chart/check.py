"""The chart as its users get it: `check.py NAME`. tests/it/chart.rs runs each check by its name, with HELM, PROMTOOL, AMTOOL,
ALERTMANAGER and USORYOU in the environment. It prints what is wrong, a line each, and ends with 1."""

import copy
import difflib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/usoryou"
GOLDEN = ROOT / "tests/golden/chart"
EVERYTHING = ROOT / "tests/chart/everything.yaml"
VALUES = sorted((CHART / "examples").glob("*.yaml")) + [EVERYTHING]
# The oldest that Chart.yaml allows, what most people have, and the newest whose schemas are known.
KUBERNETES = ["1.25", "1.35", "1.37"]
WRONG = []


def wrong(text):
    WRONG.append(text)


def ran(*command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)


def helm(*words):
    done = ran(os.environ["HELM"], *words)
    # The file that ships with usoryou is a link to the one at the root; Helm says so each time.
    done.stderr = "\n".join(line for line in done.stderr.splitlines() if "found symbolic link" not in line)
    return done


def template(values, *more):
    done = helm("template", "usoryou", CHART, "--namespace", "usoryou", "--values", values, *more)
    if done.returncode != 0 or done.stderr:
        wrong(f"{values.name} cannot be rendered: {done.stderr}")
    return done.stdout


def objects(values):
    return [one for one in yaml.safe_load_all(template(values)) if one]


def named(one):
    return f"{one['kind']} {one['metadata']['name']}"


def pods(rendered):
    """Each pod with the object that makes it."""
    for one in rendered:
        if one["kind"] in ("DaemonSet", "Deployment", "StatefulSet"):
            yield one, one["spec"]["template"]
        elif one["kind"] == "Pod":
            yield one, one


def lint():
    for values in [None, *VALUES]:
        done = helm("lint", "--strict", CHART, *(["--values", values] if values else []))
        if done.returncode != 0 or "[WARNING]" in done.stdout:
            wrong(f"helm lint with {values and values.name}:\n{done.stdout}{done.stderr}")
    # What people read after an installation is shown to nobody without a cluster: here as an object.
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder, "usoryou")
        shutil.copytree(CHART, chart)
        shutil.move(chart / "templates/NOTES.txt", chart / "files/NOTES.txt")
        (chart / "templates/notes.yaml").write_text("notes: {{ tpl (.Files.Get \"files/NOTES.txt\") . | quote }}\n")
        for values in VALUES:
            done = helm("template", "usoryou", chart, "--values", values, "--namespace", "usoryou", "--show-only", "templates/notes.yaml")
            notes = (yaml.safe_load(done.stdout) or {}).get("notes", "")
            if "helm test usoryou" not in notes or "<" in notes or re.search(r"\n\n\n", notes):
                wrong(f"the notes of {values.name}:\n{notes}{done.stderr}")


def golden():
    shipped = (ROOT / "probes.yaml").read_text()
    shipped = "".join(f"    {line}\n" if line else "    \n" for line in shipped.rstrip("\n").split("\n"))
    for values in VALUES:
        # It changes for reasons of its own.
        text = template(values).replace(shipped, "    <probes.yaml as it ships>\n")
        file = GOLDEN / values.name
        if os.environ.get("USORYOU_BLESS"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        before = file.read_text() if file.exists() else ""
        if before != text:
            diff = difflib.unified_diff(before.splitlines(), text.splitlines(), str(file.relative_to(ROOT)), "rendered now", lineterm="", n=1)
            wrong("\n".join(list(diff)[:40]) + "\nUSORYOU_BLESS=1 renews the golden files")


def kubernetes():
    crds = json.loads((ROOT / "tests/chart/crds.json").read_text())
    for values in VALUES:
        for one in objects(values):
            if one["apiVersion"] == "monitoring.coreos.com/v1":
                for fault in jsonschema.Draft7Validator(crds[one["kind"]]).iter_errors(one):
                    wrong(f"{values.name}, {named(one)}: {fault.json_path}: {fault.message}")
                continue
            for version in KUBERNETES:
                try:
                    kubernetes_validate.validate(copy.deepcopy(one), version, strict=True)
                except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as fault:
                    wrong(f"{values.name}, {named(one)}, Kubernetes {version}: {getattr(fault, 'message', fault)}")


def hardened():
    """No pod may do more than it needs."""
    for values in VALUES:
        for one, pod in pods(objects(values)):
            at, spec = f"{values.name}, {named(one)}", pod["spec"]
            if spec.get("automountServiceAccountToken") is not False:
                wrong(f"{at}: has a token of the API server")
            if any(spec.get(word) for word in ("hostNetwork", "hostPID", "hostIPC")):
                wrong(f"{at}: shares something of its host")
            outer = spec["securityContext"]
            if outer.get("seccompProfile") != {"type": "RuntimeDefault"}:
                wrong(f"{at}: no seccomp profile")
            for container in spec["containers"]:
                inner = container["securityContext"]
                raw = inner["capabilities"].get("add") == ["NET_RAW"]
                if inner["capabilities"]["drop"] != ["ALL"] or not (raw or "add" not in inner["capabilities"]):
                    wrong(f"{at}: has capabilities")
                if inner.get("readOnlyRootFilesystem") is not True or inner.get("allowPrivilegeEscalation") is not False:
                    wrong(f"{at}: may write to its image, or become more than it is")
                # A capability is worth nothing to whoever is not root: the kernel gives it to nobody else.
                if (outer["runAsUser"], outer["runAsNonRoot"]) != ((0, False) if raw else (65532, True)):
                    wrong(f"{at}: runs as {outer['runAsUser']}")
                if "memory" not in container["resources"]["limits"] or "cpu" in container["resources"]["limits"]:
                    wrong(f"{at}: memory has no limit, or CPU has one")
            for container in spec.get("initContainers", []):
                inner = container["securityContext"]
                if inner["capabilities"] != {"drop": ["ALL"], "add": ["CHOWN"]} or not inner["readOnlyRootFilesystem"]:
                    wrong(f"{at}: its init container may do more than give a folder away")


def references():
    """What one object says of another is true."""
    for values in VALUES:
        rendered = objects(values)
        made = list(pods(rendered))
        maps = {one["metadata"]["name"] for one in rendered if one["kind"] == "ConfigMap"}
        services = {one["metadata"]["name"]: one for one in rendered if one["kind"] == "Service"}

        def chosen(selector):
            return [pod for _, pod in made if selector.items() <= pod["metadata"]["labels"].items()]

        def ports(pod):
            return {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}

        for one in rendered:
            at, spec = f"{values.name}, {named(one)}", one.get("spec", {})
            if one["kind"] == "Secret":
                wrong(f"{at}: the chart makes a Secret")
            if one["metadata"]["namespace"] != "usoryou":
                wrong(f"{at}: in another namespace")
            if one["kind"] == "Service":
                for port in spec["ports"]:
                    if not chosen(spec["selector"]) or not all(port["targetPort"] in ports(pod) for pod in chosen(spec["selector"])):
                        wrong(f"{at}: leads nowhere")
            if one["kind"] in ("PodDisruptionBudget", "DaemonSet", "Deployment", "StatefulSet"):
                if len(chosen(spec["selector"]["matchLabels"])) != 1:
                    wrong(f"{at}: selects {len(chosen(spec['selector']['matchLabels']))} kinds of pods")
            if one["kind"] == "StatefulSet" and spec["serviceName"] not in services:
                wrong(f"{at}: its service is not there")
            if one["kind"] == "NetworkPolicy":
                for rule in spec["ingress"]:
                    # An empty list of peers would be everybody.
                    if not rule["from"] or not all(port["port"] in ports(pod) for port in rule["ports"] for pod in chosen(spec["podSelector"]["matchLabels"])):
                        wrong(f"{at}: lets in everybody, or to no port")
            if one["kind"] == "Ingress":
                for rule in spec["rules"]:
                    for path in rule["http"]["paths"]:
                        backend = path["backend"]["service"]
                        leads = services[backend["name"]]["spec"]["ports"]
                        if [port["targetPort"] for port in leads if port["name"] == backend["port"]["name"]] != ["public"]:
                            wrong(f"{at}: leads to what is not public")
            if one["kind"] == "ServiceMonitor":
                labels = spec["selector"]["matchLabels"].items()
                seen = [service for service in services.values() if labels <= service["metadata"]["labels"].items()]
                if len(seen) != 1 or [port["name"] for port in seen[0]["spec"]["ports"]] != [spec["endpoints"][0]["port"]]:
                    wrong(f"{at}: selects {len(seen)} services")
            if one["kind"] == "PodMonitor":
                if not chosen(spec["selector"]["matchLabels"]):
                    wrong(f"{at}: selects no pod")
        for one, pod in made:
            at, spec = f"{values.name}, {named(one)}", pod["spec"]
            claims = {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])}
            volumes = {volume["name"] for volume in spec.get("volumes", [])} | claims
            for container in spec["containers"] + spec.get("initContainers", []):
                missing = {mount["name"] for mount in container.get("volumeMounts", [])} - volumes
                if missing:
                    wrong(f"{at}: mounts {missing} that is not there")
            for volume in spec.get("volumes", []):
                if "configMap" in volume and volume["configMap"]["name"] not in maps:
                    wrong(f"{at}: {volume['configMap']['name']} is not there")


def configs():
    """What pods read is what usoryou takes, with the environment that they have, and no more than that."""
    seen = 0
    for values in VALUES:
        rendered = objects(values)
        maps = {one["metadata"]["name"]: one for one in rendered if one["kind"] == "ConfigMap"}
        for one, pod in pods(rendered):
            container = pod["spec"]["containers"][0]
            config = [volume["configMap"]["name"] for volume in pod["spec"].get("volumes", []) if volume["name"] == "config"]
            if not config:
                continue
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "usoryou").mkdir()
                Path(folder, "usoryou/token").write_text("0123456789abcdef")
                text = maps[config[0]]["data"]["probes.yaml"].replace("/run/secrets/", f"{folder}/")
                file = Path(folder, "probes.yaml")
                file.write_text(text)
                secret = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x"}
                given = {var["name"]: var.get("value", secret.get(var["name"], "a-secret")) for var in container["env"]}
                done = ran(os.environ["USORYOU"], "validate", file, env=given)
                if done.returncode != 0:
                    wrong(f"{values.name}, {named(one)}:\n{done.stdout}{done.stderr}")
                elif re.search(r"\bhub\.|`hub|token", done.stdout + done.stderr):
                    wrong(f"{values.name}, {named(one)} is taken with a warning:\n{done.stdout}{done.stderr}")
                seen += 1
    if seen < 6:
        wrong(f"only {seen} configurations were found")


# Read by a release that has the listener for customers; to be taken out of here with the first that does.
NOT_YET = {"USORYOU_PUBLIC_LISTEN"}


def commands():
    """The program knows every argument and variable that pods give it."""
    for values in VALUES:
        for one, pod in pods(objects(values)):
            for container in pod["spec"]["containers"]:
                args = container["args"]
                done = ran(os.environ["USORYOU"], *args, "--help")
                if done.returncode != 0:
                    wrong(f"{values.name}, {named(one)}: {' '.join(args)}: {done.stderr}")
                for name in {var["name"] for var in container.get("env", []) if var["name"].startswith("USORYOU_")}:
                    if (f"{name}=" in done.stdout or f"{name}]" in done.stdout) == (name in NOT_YET):
                        wrong(f"{values.name}, {named(one)}: {args[0]} and {name}: not as this test knows it")


FLEET = ["--set", "mode=fleet", "--set", "agent.region.name=eu"]
HOOK = "https://hooks.slack.com/services/T0/B0/x"
# What must not be installed, and a word of why.
REFUSED = [
    (["--set", "modes=fleet"], "modes"),
    (["--set", "mode=cluster"], "mode"),
    (["--set", "hub.token=abc"], "token"),
    (["--set", "agent.token.value=abc"], "value"),
    (["--set", "hub.store.postgres.url=postgres://u:p@h/d"], "url"),
    (["--set", "hub.store.url=postgres://u:p@h/d"], "url"),
    (["--set", f"secretEnv.SLACK_WEBHOOK_URL={HOOK}"], "SLACK_WEBHOOK_URL"),
    (["--set", f"secretEnv.SLACK_WEBHOOK_URL.value={HOOK}"], "value"),
    (["--set", f"env.SLACK_WEBHOOK_URL={HOOK}"], "SLACK_WEBHOOK_URL"),
    (["--set", "env.API_TOKEN=abc"], "API_TOKEN"),
    (["--set", "env.USORYOU_STORE=sqlite:x"], "USORYOU_STORE"),
    (["--set", f"config.alerts.channels.support.slack.webhook_url={HOOK}"], "is a secret"),
    (["--set", "config.alerts.channels.pager.pagerduty.routing_key=0123"], "is a secret"),
    (["--set", "config.probes[0].check.http.headers.Authorization=Bearer x"], "is a secret"),
    (["--set-string", "config=alerts: { channels: { s: { slack: { bot_token: xoxb-1 } } } }"], "is a secret"),
    (["--set-string", "config=a: [ b"], "no YAML"),
    (["--set", "config.hub.urls[0]=https://hub"], "must not have"),
    (["--set", "hubConfig.token=abc"], "'token'"),
    (["--set", "hubConfig.agents[0].name=eu"], "'agents'"),
    (["--set", "secretFiles.usoryou.secret=x"], "usoryou"),
    (["--set", "hub.replicas=0"], "replicas"),
    (["--set", "hub.agents[0].name=eu,hub.agents[0].region=eu,hub.agents[0].tokenSha256[0]=abc"], "tokenSha256"),
    (["--set", "hub.agents[0].name=eu,hub.agents[0].region=eu,hub.agents[0].token=abc"], "token"),
    (["--set", "networkPolicy.people[0].everybody=true"], "everybody"),
    ([*FLEET, "--set", "agent.hubs[0]=https://user:pw@hub.example.com"], "hubs"),
    ([*FLEET, "--set", "agent.hostNetwork=true"], "hostNetwork"),
    ([*FLEET, "--set", "agent.icmp=privileged"], "icmp"),
    ([*FLEET, "--set", "agent.resources.limits.memory=plenty"], "memory"),
    ([*FLEET, "--set", "hub.store.kind=sqlite"], "one owner"),
    ([*FLEET, "--set", "hub.enabled=false"], "agent.hubs"),
    ([*FLEET, "--set", "agent.region.podLabel=x"], "either"),
    (["--set", "mode=fleet"], "agent.region.name"),
    (["--set", "mode=fleet", "--set", "agent.region.podLabel=topology.kubernetes.io/region", "--kube-version", "1.34.0"], "1.35"),
    ([*FLEET, "--set", "hub.public.enabled=true,hub.public.ingress.enabled=true"], "hub.public.ingress.host"),
]
TAKEN = [
    [],
    FLEET,
    ["--set", "mode=fleet", "--set", "agent.region.podLabel=topology.kubernetes.io/region", "--kube-version", "1.35.0"],
    [*FLEET, "--set", "agent.enabled=false", "--set", "hub.store.kind=sqlite,hub.replicas=1"],
    ["--set", "config.alerts.channels.support.slack.webhook_url=${SLACK_WEBHOOK_URL}"],
    ["--set-file", f"config={ROOT / 'probes.yaml'}"],
    ["--set", "embedded.persistence.existingClaim=old", "--set", "image.tag=1.2.3"],
    [*FLEET, "--set", "hubConfig.solo_after=2m"],
]


def refusals():
    for words, why in REFUSED:
        done = helm("template", "usoryou", CHART, *words)
        if done.returncode == 0:
            wrong(f"{words[-1]} is taken")
        elif why not in done.stderr:
            wrong(f"{words[-1]} is refused without {why!r}: {done.stderr}")
    for words in TAKEN:
        done = helm("template", "usoryou", CHART, *words)
        if done.returncode != 0 or done.stderr:
            wrong(f"{words} is refused: {done.stderr}")
    # As a text and as an object: the same plan.
    text = (ROOT / "probes.yaml").read_text()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
        yaml.safe_dump({"config": yaml.safe_load(text)}, values)
        values.flush()
        made = [one for one in objects(Path(values.name)) if one["kind"] == "ConfigMap"]
        if yaml.safe_load(made[0]["data"]["probes.yaml"]) != yaml.safe_load(text):
            wrong("a configuration as an object becomes another")


def families():
    """The metrics that exist: name to kind and labels."""
    found = {}
    for line in (ROOT / "tests/golden/metrics.txt").read_text().splitlines():
        name, kind, *labels = line.split(" ")
        found[name] = (kind, set(labels[0].split(",")) if labels and labels[0] else set())
    return found


# What the scrape adds.
OF_THE_TARGET = {"instance", "job", "namespace", "pod", "container", "endpoint", "region", "node"}


def metrics_of(expr, where, known):
    """Every metric of an expression is one that exists, with the labels that it is asked for."""
    for name, selector in re.findall(r"(?<![\w:])(usoryou_\w+)\s*(?:\{([^}]*)\})?", expr):
        base = name if name in known else re.sub(r"_(bucket|sum|count)$", "", name)
        if base not in known or (base != name) != (known[base][0] == "histogram"):
            wrong(f"{where}: there is no metric {name}")
            continue
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector):
            if label not in known[base][1] | OF_THE_TARGET:
                wrong(f"{where}: {name} has no label {label}")
    kinds = set().union(*(known[name][1] for name in known)) | OF_THE_TARGET | {"le"}
    for labels in re.findall(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", expr):
        for label in filter(None, (word.strip() for word in labels.split(","))):
            if label not in kinds:
                wrong(f"{where}: no metric has the label {label}")


def rule_groups():
    for file in sorted((CHART / "rules").glob("*.yaml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                yield file, group, rule


def rules():
    """Rules are valid, use what exists, are tested, and are the ones that the chart installs."""
    files = sorted((CHART / "rules").glob("*.yaml"))
    done = ran(os.environ["PROMTOOL"], "check", "rules", *files)
    if done.returncode != 0:
        wrong(done.stdout + done.stderr)
    known, recorded = families(), {rule["record"] for _, _, rule in rule_groups() if "record" in rule}
    tests = "\n".join(file.read_text() for file in sorted((ROOT / "tests/chart/alerts").glob("*.yaml")))
    for file, _, rule in rule_groups():
        name = rule.get("alert") or rule["record"]
        metrics_of(rule["expr"], f"{file.name}, {name}", known)
        for used in re.findall(r"usoryou:[\w:]+", rule["expr"]):
            if used not in recorded:
                wrong(f"{file.name}, {name}: nobody records {used}")
        if "alert" in rule:
            if rule["labels"].get("severity") not in ("critical", "warning", "info"):
                wrong(f"{file.name}, {name}: its severity is none of ours")
            # Both ways: that it fires, and that it does not.
            expected = re.findall(rf"alertname: {name}\n\s+exp_alerts:( \[\]|\n)", tests)
            if "\n" not in expected or " []" not in expected:
                wrong(f"{name} is not tested both ways in tests/chart/alerts")
    for file in sorted((ROOT / "tests/chart/alerts").glob("*.yaml")):
        done = ran(os.environ["PROMTOOL"], "test", "rules", file)
        if done.returncode != 0:
            wrong(done.stdout + done.stderr)
    every = [yaml.safe_load(file.read_text())["groups"] for file in files]
    for values in VALUES:
        given = yaml.safe_load(values.read_text()).get("rules", {})
        for one in objects(values):
            if one["kind"] != "PrometheusRule":
                continue
            text = json.dumps([group for groups in every for group in groups]).replace("docs/RUNBOOK.md", given.get("runbook", "docs/RUNBOOK.md"))
            wanted = json.loads(text)
            for group in wanted:
                group["rules"] = [rule for rule in group["rules"] if rule.get("alert") not in given.get("disabled", [])]
            if one["spec"]["groups"] != wanted:
                wrong(f"{values.name}: the rules that are installed are others")


def runbook():
    """Each alert has its section and each section its alert; links lead there."""
    text = (ROOT / "docs/RUNBOOK.md").read_text()
    sections = set(re.findall(r"^#+ (Usoryou\w+)$", text, re.M))
    alerts = {rule["alert"]: rule for _, _, rule in rule_groups() if "alert" in rule}
    for name in sorted(sections ^ alerts.keys()):
        wrong(f"{name} is {'only in docs/RUNBOOK.md' if name in sections else 'not in docs/RUNBOOK.md'}")
    for name, rule in alerts.items():
        if rule["annotations"]["runbook_url"] != f"docs/RUNBOOK.md#{name.lower()}":
            wrong(f"{name}: {rule['annotations']['runbook_url']}")
    for name in sections & alerts.keys():
        body = re.split(rf"^#+ {name}$", text, flags=re.M)[1].split("\n#")[0]
        if len(body.split()) < 20:
            wrong(f"docs/RUNBOOK.md says next to nothing about {name}")


def dashboards():
    known, expressions = families(), []
    files = sorted((CHART / "dashboards").glob("*.json"))
    if len(files) != 2:
        wrong(f"{len(files)} dashboards")
    seen = set()
    for file in files:
        board = json.loads(file.read_text())
        if len(board["uid"]) > 40 or board["uid"] in seen or board["schemaVersion"] < 36:
            wrong(f"{file.name}: its uid or version is not one that Grafana 10 takes")
        seen.add(board["uid"])
        variables = {variable["name"] for variable in board["templating"]["list"]}
        ids = [panel["id"] for panel in board["panels"]]
        if len(set(ids)) != len(ids):
            wrong(f"{file.name}: two panels have one id")
        places = set()
        for panel in board["panels"]:
            at, grid = f"{file.name}, {panel['title']}", panel["gridPos"]
            cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
            if cells & places or grid["x"] + grid["w"] > 24:
                wrong(f"{at}: lies on another")
            places |= cells
            if panel["type"] != "row" and panel["datasource"]["uid"] != "${datasource}":
                wrong(f"{at}: its source is not the variable")
            for target in panel.get("targets", []):
                expr = target["expr"]
                metrics_of(expr, at, known)
                for variable in re.findall(r"\$\{?(\w+)", expr):
                    if variable not in variables and not variable.startswith("__"):
                        wrong(f"{at}: nobody knows ${variable}")
                plain = expr.replace("$__rate_interval", "5m").replace("$__range", "3h")
                expressions.append({"record": "a", "expr": re.sub(r"\$\w+", ".*", plain)})
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                metrics_of(variable["query"], f"{file.name}, ${variable['name']}", known)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        for number, rule in enumerate(expressions):
            rule["record"] = f"panel_{number}"
        yaml.safe_dump({"groups": [{"name": "panels", "rules": expressions}]}, file)
        file.flush()
        done = ran(os.environ["PROMTOOL"], "check", "rules", file.name)
        if done.returncode != 0:
            wrong(f"an expression cannot be read: {done.stdout}{done.stderr}")
    shown = set(re.findall(r"usoryou_\w+", " ".join(rule["expr"] for rule in expressions)))
    for name in ("usoryou_verdict", "usoryou_notification_outbox_depth", "usoryou_uplink_spool_bytes", "usoryou_probe_start_lateness_seconds_bucket"):
        if name not in shown:
            wrong(f"no panel shows {name}")


# Alerts that are raised together, and those of them that Alertmanager keeps to itself.
TOGETHER = [
    ({"alertname": "UsoryouHubStandsStill"}, False),
    ({"alertname": "UsoryouUplinkBehind", "region": "eu-west", "node": "n1"}, True),
    ({"alertname": "UsoryouOutboxStuck", "job": "hub"}, True),
    ({"alertname": "UsoryouChannelRefuses", "channel": "support"}, False),
    ({"alertname": "UsoryouMassFailure", "region": "eu-west"}, False),
    ({"alertname": "UsoryouInconclusive", "region": "eu-west", "probe": "ping"}, True),
    ({"alertname": "UsoryouInconclusive", "region": "us-east", "probe": "ping"}, False),
    ({"alertname": "UsoryouProbesLate", "region": "ap-south", "node": "n1"}, False),
    ({"alertname": "UsoryouRunsMissed", "region": "ap-south", "node": "n1", "probe": "api"}, True),
    ({"alertname": "UsoryouRunsMissed", "region": "us-east", "node": "n1", "probe": "api"}, False),
]


def inhibition():
    """A real Alertmanager takes the rules of inhibition and keeps what follows from something larger to itself."""
    text = (CHART / "alertmanager.yaml").read_text()
    alerts = {rule["alert"] for _, _, rule in rule_groups() if "alert" in rule}
    for word in set(re.findall(r"Usoryou\w+", text)) - alerts:
        wrong(f"charts/usoryou/alertmanager.yaml: there is no alert {word}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "alertmanager.yaml")
        file.write_text("route: { receiver: nobody, group_wait: 0s }\nreceivers: [ { name: nobody } ]\n" + text)
        done = ran(os.environ["AMTOOL"], "check-config", file)
        if done.returncode != 0:
            wrong(done.stdout + done.stderr)
            return
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        command = [os.environ["ALERTMANAGER"], f"--config.file={file}", f"--storage.path={folder}", "--cluster.listen-address="]
        log = Path(folder, "log").open("w", encoding="utf-8")
        running = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            url, until = f"http://127.0.0.1:{port}/api/v2/alerts", time.monotonic() + 40
            raised = json.dumps([{"labels": labels} for labels, _ in TOGETHER]).encode()
            request = urllib.request.Request(url, raised, {"Content-Type": "application/json"})
            while True:
                try:
                    urllib.request.urlopen(request, timeout=10).close()
                    break
                except OSError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.1)
            wanted = [(labels, kept) for labels, kept in TOGETHER]
            while True:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    told = {json.dumps(one["labels"], sort_keys=True): one["status"] for one in json.load(answer)}
                seen = [(labels, bool(told.get(json.dumps(labels, sort_keys=True), {}).get("inhibitedBy"))) for labels, _ in TOGETHER]
                if seen == wanted or time.monotonic() > until:
                    break
                time.sleep(0.1)
            for (labels, kept), (_, was) in zip(wanted, seen):
                if kept != was:
                    wrong(f"{labels} is {'kept back' if was else 'told'}")
        finally:
            running.terminate()
            running.wait()
            log.close()


CHECKS = [lint, golden, kubernetes, hardened, references, configs, commands, refusals, rules, runbook, dashboards, inhibition]

if __name__ == "__main__":
    wanted = [check for check in CHECKS if check.__name__ in sys.argv[1:]]
    if len(wanted) != len(sys.argv) - 1 or not wanted:
        sys.exit(f"known checks: {' '.join(check.__name__ for check in CHECKS)}")
    for check in wanted:
        check()
    print("\n".join(WRONG))
    sys.exit(1 if WRONG else 0)
