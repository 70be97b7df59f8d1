//! The chart, its rules and its dashboards as their users get them. What is checked, and how, stands in
//! `tests/chart/check.py`: Helm's and Kubernetes' own tools speak YAML and Python. One test a check.

use std::{path::Path, process::Command};

use crate::support::{
    peer,
    peers::{self, tool},
};

fn check(name: &str) {
    let (Some(python), Some(helm), Some(promtool), Some(amtool), Some(alertmanager)) =
        (peers::python(), tool("helm"), peer("promtool"), peer("amtool"), peer("prometheus-alertmanager"))
    else {
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checked = Command::new(python)
        .arg(root.join("tests/chart/check.py"))
        .arg(name)
        .current_dir(root)
        .env("HELM", helm)
        .env("PROMTOOL", promtool)
        .env("AMTOOL", amtool)
        .env("ALERTMANAGER", alertmanager)
        .env("USORYOU", env!("CARGO_BIN_EXE_usoryou"))
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn the_chart_has_no_lint_and_its_notes_can_be_read() {
    check("lint");
}

#[test]
fn what_each_example_renders_is_what_it_rendered_before() {
    check("golden");
}

#[test]
fn every_object_is_one_that_kubernetes_takes() {
    check("kubernetes");
}

#[test]
fn no_pod_may_do_more_than_it_needs() {
    check("hardened");
}

#[test]
fn what_objects_say_of_each_other_is_true() {
    check("references");
}

#[test]
fn the_configuration_of_every_pod_is_one_that_usoryou_takes() {
    check("configs");
}

#[test]
fn usoryou_knows_every_argument_and_variable_that_pods_give_it() {
    check("commands");
}

#[test]
fn wrong_values_and_secrets_among_them_are_refused() {
    check("refusals");
}

#[test]
fn every_alert_fires_when_it_should_and_not_otherwise() {
    check("rules");
}

#[test]
fn every_alert_has_its_section_in_the_runbook_and_the_reverse() {
    check("runbook");
}

#[test]
fn dashboards_show_only_metrics_that_exist() {
    check("dashboards");
}

#[test]
fn alertmanager_keeps_back_what_follows_from_something_larger() {
    check("inhibition");
}
