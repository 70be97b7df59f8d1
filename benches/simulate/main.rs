//! `make simulate`: the ground-truth simulation. Arguments:
//!
//! ```text
//! --quick               fewer cases and days
//! --parameters WHICH    tune or report (report)
//! --only KIND,KIND      these faults, or quiet
//! --regions N,N         these fleets (1,2,3,5,10)
//! --cases N             of each kind and fleet
//! --days N              quiet days for each fleet
//! --seed N
//! --threads N           at most 2 (2)
//! --list N              cases to list that went wrong
//! --explain CASE        one case, told as it went
//! --write DIR           each case as files for `usoryou replay`
//! --no-baselines        usoryou alone
//! ```
#![expect(unreachable_pub, reason = "the kit is shared with a test, which is another crate")]

mod arguments;
mod explain;
mod kit;
mod run;
mod table;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::Arguments::read(std::env::args().skip(1))?;
    let out = &mut std::io::stdout().lock();
    if let Some(name) = &arguments.explain {
        return explain::explain(name, &arguments, out);
    }
    let began = std::time::Instant::now();
    let runs = run::all(&arguments)?;
    table::print(&runs, &arguments, out)?;
    std::io::Write::write_fmt(out, format_args!("\n{} cases in {:.0?}\n", runs.len(), began.elapsed()))?;
    Ok(())
}
