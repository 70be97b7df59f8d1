//! OpenMetrics text to the older Prometheus text form (0.0.4): the two differ in how a counter is announced and in the
//! end mark.

/// Rewrites a page.
pub(super) fn from_open_metrics(page: &str) -> String {
    let mut out = String::with_capacity(page.len() + page.len() / 64);
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        match line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            Some((name, help)) => {
                // The line behind HELP is always the family's TYPE.
                let kind = lines.next().and_then(|line| line.rsplit(' ').next()).unwrap_or("untyped");
                let suffix = if kind == "counter" { "_total" } else { "" };
                for part in ["# HELP ", name, suffix, " ", help, "\n# TYPE ", name, suffix, " ", kind, "\n"] {
                    out.push_str(part);
                }
            }
            None if line.starts_with("# ") => {}
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::from_open_metrics;

    #[test]
    fn counters_are_announced_with_their_suffix_and_the_end_mark_goes() {
        let page = "# HELP a_runs Runs.\n# TYPE a_runs counter\na_runs_total{x=\"# HELP \"} 1\n\
                    # HELP a_up Up.\n# TYPE a_up gauge\na_up 1.0\n# EOF\n";
        assert_eq!(
            from_open_metrics(page),
            "# HELP a_runs_total Runs.\n# TYPE a_runs_total counter\na_runs_total{x=\"# HELP \"} 1\n\
             # HELP a_up Up.\n# TYPE a_up gauge\na_up 1.0\n"
        );
    }
}
