//! The documents say what the program does: lists that stand in both are compared.

use usoryou::model::Kind;

#[test]
fn every_failure_kind_has_its_section_and_every_section_its_kind() {
    let text = include_str!("../../docs/FAILURES.md");
    let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let kinds: Vec<&str> = Kind::ALL.into_iter().map(Kind::word).collect();
    assert_eq!(sections, kinds, "docs/FAILURES.md must have one section per kind, in the order of model::Kind::ALL");
}
