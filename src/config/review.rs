//! What the channels say to their own shapes: mistakes at the place they are about, and doubts. Must not know any channel.

use super::{
    at::At,
    build::Workshop,
    fault::Fault,
    tree::{Content, Id},
};
use crate::notify::ChannelFile;

impl Workshop<'_> {
    pub(super) fn review(&mut self, channel: &At<ChannelFile>) {
        // A channel has exactly one key, and its shape is below that.
        let key = self.tree.keys(channel.id).next().unwrap_or_default().to_owned();
        let inside = self.tree.descend(channel.id, [key.as_str()]);
        match channel.value.review() {
            Ok(None) => {}
            Ok(Some(doubt)) => {
                let unset = self.left_empty(inside);
                let at = self.tree.place(unset.as_ref().map_or(channel.id, |&(id, _)| id));
                let help = unset.map(|(_, name)| format!("set the variable `{name}`"));
                self.faults.push(Fault::warning(at, doubt).maybe_help(help));
            }
            Err(problems) => {
                // What is missing from the shape may be there, and wrong.
                let span = self.tree.node(inside).span.clone();
                let is_inside = |fault: &Fault| fault.at.as_ref().is_some_and(|at| span.contains(&at.start));
                let is_broken = self.known.iter().any(is_inside);
                for problem in problems.iter().filter(|problem| !(problem.path.is_empty() && is_broken)) {
                    self.problem(inside, problem);
                }
            }
        }
    }

    /// A value below that a variable left empty, and the variable's name.
    fn left_empty(&self, id: Id) -> Option<(Id, String)> {
        match &self.tree.node(id).content {
            Content::Scalar(scalar) if scalar.text.is_empty() => {
                let name = scalar.written.as_ref()?.split("${").nth(1)?;
                Some((id, name.split([':', '}']).next()?.to_owned()))
            }
            Content::Scalar(_) => None,
            Content::List(items) => items.iter().find_map(|&item| self.left_empty(item)),
            Content::Map(entries) => entries.iter().find_map(|entry| self.left_empty(entry.value)),
        }
    }
}
