//! A configuration of another machine: it names variables and files that only that machine has. Whoever looks at what was
//! seen there needs none of those secrets, so what is missing here is made up.

use std::{path::Path, sync::Arc};

use super::{Loaded, Mistakes, Plan, VantageOverrides, read_policy_with, read_with};
use crate::net::Net;

/// What stands for what is missing: it passes for a secret, and for an address that leads nowhere.
const MADE_UP: &str = "https://unset.invalid/";

/// Where values come from.
#[derive(Clone, Copy)]
pub(super) struct Outside<'a> {
    /// Variables.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// What stands for the contents of a secret file that cannot be read here; nothing where that is a mistake.
    pub(super) unread: Option<&'a str>,
}

/// The plan of a configuration whose variables and secret files may be missing here.
///
/// # Errors
/// As [`super::read`], when it is of no use with made up ones either.
pub fn read_of_elsewhere(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    net: &Arc<Net>,
) -> Result<Arc<Plan>, Mistakes> {
    leniently(env, &|outside| read_with(path, outside, net, &VantageOverrides::default()))
}

/// The same of a policy.
///
/// # Errors
/// As [`super::read_policy`], when it is of no use with made up ones either.
pub fn read_policy_of_elsewhere(
    path: &Path,
    world: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    net: &Arc<Net>,
) -> Result<Arc<Plan>, Mistakes> {
    leniently(env, &|outside| read_policy_with(path, world, outside, net))
}

fn leniently(
    env: &dyn Fn(&str) -> Option<String>,
    read: &dyn Fn(Outside<'_>) -> Result<Loaded, Mistakes>,
) -> Result<Arc<Plan>, Mistakes> {
    let strictly = read(Outside { env, unread: None });
    let read = strictly.or_else(|mistakes| {
        let made_up = |name: &str| env(name).or_else(|| Some(MADE_UP.to_owned()));
        read(Outside { env: &made_up, unread: Some(MADE_UP) }).map_err(|_| mistakes)
    });
    read.map(|loaded| loaded.plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
hub: { urls: [ \"https://hub.example.com\" ], token: { file: /var/run/secrets/nowhere/token } }
parties: { firebase: { kind: provider } }
probes: [ { name: rtdb, party: firebase, check: { tcp: { address: \"${HOST}:1\" } } } ]
";

    #[test]
    fn what_only_another_machine_has_is_made_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("probes.yaml");
        let net = Net::system(vec![]).unwrap();
        let env = |name: &str| (name == "HOST").then(|| "127.0.0.1".to_owned());
        std::fs::write(&path, TEXT).unwrap();
        assert!(super::super::read(&path, &env, &net, &VantageOverrides::default()).is_err());
        let plan = read_of_elsewhere(&path, &env, &net).unwrap();
        assert_eq!(plan.probes.len(), 1);
        // Every other mistake is told, and those that would be made up beside it.
        std::fs::write(&path, format!("{TEXT}\nalerts: {{ open_after: no }}\n")).unwrap();
        let told = read_of_elsewhere(&path, &env, &net).err().unwrap().to_string();
        assert!(told.contains("open_after") && told.contains("there is no such file"), "{told}");
    }
}
