//! `probes.yaml` to a [`Plan`]: file shape, rules that cross fields, and the immutable result. Only `file.rs` and below
//! know YAML; nobody outside sees anything but the plan and the list of mistakes.

mod access;
mod at;
mod build;
mod confirm;
mod credentials;
mod decode;
mod elsewhere;
mod excerpt;
mod fault;
mod feeds;
mod file;
mod graft;
mod hubs;
mod interpolate;
mod keys;
mod mistake;
mod needs;
mod or_off;
mod parse;
mod plan;
mod render;
mod review;
mod rules;
mod schema;
mod session;
mod shorthand;
mod sight;
mod size;
mod syntax;
mod tree;
mod value;
mod wrong;

use std::{io::Read as _, path::Path, sync::Arc};

pub use elsewhere::{read_of_elsewhere, read_policy_of_elsewhere};
pub use hubs::Agent;
pub use mistake::{Mistake, Mistakes, Place, Severity};
pub use plan::{Alerts, Confirm, Keep, Maintenance, Party, Plan, Probe, Session};

use self::{
    build::Workshop, credentials::without_credentials, decode::Shapes, elsewhere::Outside, fault::Fault,
    interpolate::Sources, sight::Sight,
};
use crate::net::Net;

/// What the command line says about the vantage point; it wins over the file.
#[derive(Debug, Clone, Default)]
pub struct VantageOverrides {
    /// `--region`.
    pub region: Option<String>,
    /// `--node`.
    pub node: Option<String>,
}

/// A configuration that can be used.
pub struct Loaded {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What is likely not meant; may be empty.
    pub warnings: Mistakes,
}

/// Reads, checks and prepares a configuration.
///
/// # Errors
/// Every mistake in it (and the warnings), ready to be shown. A file that cannot be read is one mistake.
pub fn read(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    net: &Arc<Net>,
    vantage: &VantageOverrides,
) -> Result<Loaded, Mistakes> {
    read_with(path, Outside { env, unread: None }, net, vantage)
}

fn read_with(
    path: &Path,
    outside: Outside<'_>,
    net: &Arc<Net>,
    vantage: &VantageOverrides,
) -> Result<Loaded, Mistakes> {
    let name: Arc<str> = path.to_string_lossy().into();
    match text_of(path) {
        Ok(text) => read_text_with(&text, path, outside, net, vantage),
        Err(message) => Err(Mistakes::of_file(name, message)),
    }
}

/// The same for a text that is at hand; `path` is what it is called, and files that it names are sought beside it.
///
/// # Errors
/// As [`read`].
pub fn read_text(
    text: &str,
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    net: &Arc<Net>,
    vantage: &VantageOverrides,
) -> Result<Loaded, Mistakes> {
    read_text_with(text, path, Outside { env, unread: None }, net, vantage)
}

fn read_text_with(
    text: &str,
    path: &Path,
    outside: Outside<'_>,
    net: &Arc<Net>,
    vantage: &VantageOverrides,
) -> Result<Loaded, Mistakes> {
    let name: Arc<str> = path.to_string_lossy().into();
    let schema = schema();
    let (tree, mut faults) = parse::parse(text);
    let Some(mut tree) = tree else {
        return Err(mistakes(name, faults, &Sight::blind(text, &schema)));
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let (more, bad) = interpolate::fill(&mut tree, &Sources { outside, folder, text });
    faults.extend(more);
    let mut decoded = decode::decode::<file::File>(&tree, bad, &Shapes::of(&schema));
    faults.append(&mut decoded.faults);
    let mut plan = None;
    if let Some(file) = &decoded.value {
        let whole = faults.is_empty();
        faults.extend(rules::check(&rules::Facts { tree: &tree, file, whole }));
        let env = outside.env;
        let mut workshop = Workshop { tree: &tree, file, net, vantage, env, known: &faults, faults: Vec::new() };
        plan = Some(workshop.plan());
        let more = workshop.faults;
        faults.extend(more);
    }
    let is_usable = faults.iter().all(|fault| fault.severity == Severity::Warning);
    let list = mistakes(name, faults, &Sight::of(text, &tree, &decoded, &schema));
    match plan {
        Some(plan) if is_usable => Ok(Loaded { plan: Arc::new(plan), warnings: list }),
        _ => Err(list),
    }
}

/// The same for a policy: a file whose parties and probes are those of another file where it has none itself.
///
/// # Errors
/// As [`read`], the other file's unreadability included.
pub fn read_policy(
    path: &Path,
    world: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    net: &Arc<Net>,
) -> Result<Loaded, Mistakes> {
    read_policy_with(path, world, Outside { env, unread: None }, net)
}

fn read_policy_with(path: &Path, world: &Path, outside: Outside<'_>, net: &Arc<Net>) -> Result<Loaded, Mistakes> {
    let of_file = |path: &Path, message| Mistakes::of_file(path.to_string_lossy().into(), message);
    let policy = text_of(path).map_err(|message| of_file(path, message))?;
    let world = text_of(world).map_err(|message| of_file(world, message))?;
    read_text_with(&graft::graft(&policy, &world), path, outside, net, &VantageOverrides::default())
}

/// The JSON Schema (2020-12) of `probes.yaml`.
#[must_use]
pub fn schema() -> serde_json::Value {
    schema::schema()
}

/// The text of a file, or why there is none.
fn text_of(path: &Path) -> Result<String, String> {
    let cannot = |why: String| format!("cannot read the configuration `{}`: {why}", path.display());
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(parse::MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| cannot(interpolate::reason(&error)))?;
    if bytes.len() as u64 > parse::MAX_BYTES {
        return Err(cannot(format!("it is larger than {} KiB", parse::MAX_BYTES / 1024)));
    }
    String::from_utf8(bytes)
        .map_err(|error| cannot(format!("it is not UTF-8 text (byte {})", error.utf8_error().valid_up_to())))
}

fn mistakes(file: Arc<str>, mut faults: Vec<Fault>, sight: &Sight<'_>) -> Mistakes {
    faults.sort_by_key(|fault| (fault.severity, fault.at.as_ref().map(|at| at.start)));
    // What an alias repeats is looked at more than once, but was written once.
    faults.dedup();
    let place = |fault: Fault| Mistake {
        severity: fault.severity,
        message: without_credentials(&fault.message),
        help: fault.help.as_deref().map(without_credentials),
        place: fault.at.as_ref().map(|at| sight.place(at)),
    };
    Mistakes { file, list: faults.into_iter().map(place).collect() }
}
