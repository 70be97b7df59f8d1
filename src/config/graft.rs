//! A policy without a world: a file that says only whom to tell and when is read together with the parties and probes of
//! another. Knows no more of YAML than where a section of a file begins and ends.

/// What a policy takes from the other file when it has none of its own.
const SECTIONS: [&str; 3] = ["defaults", "parties", "probes"];

/// The policy with the sections that it lacks; its own lines stay where they are.
pub(super) fn graft(policy: &str, world: &str) -> String {
    let mut whole = policy.to_owned();
    for key in SECTIONS.into_iter().filter(|key| section(policy, key).is_none()) {
        if let Some(section) = section(world, key) {
            if !whole.ends_with('\n') {
                whole.push('\n');
            }
            whole.push_str(&section);
        }
    }
    whole
}

/// The lines of a section at the outermost level.
fn section(text: &str, key: &str) -> Option<String> {
    let begins = |line: &str| {
        let bare = line.strip_prefix(key).or_else(|| line.strip_prefix(&format!("\"{key}\"")));
        bare.is_some_and(|rest| rest.trim_start().starts_with(':'))
    };
    let mut lines = text.split_inclusive('\n').skip_while(|line| !begins(line));
    let mut section = lines.next()?.to_owned();
    // A list may begin as far to the left as its key.
    let belongs = |line: &&str| line.trim().is_empty() || line.starts_with([' ', '\t', '#', '-']);
    section.extend(lines.take_while(|line| belongs(line) && !line.starts_with("---")));
    Some(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_gets_what_it_lacks_and_keeps_what_it_has() {
        let world = "parties:\n  a: { kind: us }\n\n# more\n  b: { kind: control }\nprobes:\n- name: x\n  party: a\nalerts: { open_after: 9 }\n";
        assert_eq!(
            graft("alerts: { open_after: 1 }", world),
            "alerts: { open_after: 1 }\nparties:\n  a: { kind: us }\n\n# more\n  b: { kind: control }\nprobes:\n- name: x\n  party: a\n"
        );
        assert_eq!(graft("parties: { c: { kind: us } }\n", world).matches("parties").count(), 1);
    }
}
