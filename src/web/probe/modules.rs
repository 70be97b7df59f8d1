//! The modules that need no configuration, named as in the example that blackbox_exporter ships. Their checks are data,
//! in the words of `probes.yaml`; a target takes the place of the one written there.

use std::{collections::BTreeMap, sync::LazyLock};

use crate::protocol::CheckFile;

/// The module that is meant when none is named.
pub(super) const DEFAULT: &str = "http_2xx";

static BUILT_IN: LazyLock<BTreeMap<String, CheckFile>> = LazyLock::new(|| {
    // A test reads the same text: it cannot be wrong here.
    serde_json::from_str(include_str!("modules.json")).unwrap_or_default()
});

/// The check of a built-in module.
pub(super) fn built_in(name: &str) -> Option<CheckFile> {
    BUILT_IN.get(name).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_module_is_a_check() {
        let read: BTreeMap<String, CheckFile> = serde_json::from_str(include_str!("modules.json")).unwrap();
        assert!(read.contains_key(DEFAULT));
        for (name, file) in &read {
            let target = if name.starts_with("http") { "http://host.example:81/x" } else { "host.example:81" };
            let target = if name == "icmp" { "host.example" } else { target };
            file.retarget(target).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
