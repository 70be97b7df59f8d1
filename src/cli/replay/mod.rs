//! `usoryou replay`: stored observations through a configuration's verdicts and alerts. Owns where the lines come from,
//! what is shown of them and the exit code; what is judged how is `crate::replay`'s.

mod compare;
mod derived;
mod odd;
mod progress;
mod story;

use std::{
    fs::File,
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{Common, Exit, Stopped, moment::Moment, paint::Paint};
use crate::{
    attribution::Absorbed,
    config::{self, Mistakes, Plan, VantageOverrides},
    model::{Sighting, Timestamp},
    net::Net,
    replay::{self, Line, Replay, Taker, Tally},
};
use compare::Compared;
use odd::{grouped, nothing_judged, say_odd};
use progress::Progress;
use story::Story;

/// What to replay and how to show it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Observations, one JSON object a line, gzipped or not; `-` reads them from stdin
    file: PathBuf,
    /// Compare with another file's alerts and maintenance: which pages either would have sent
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How to say it
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    output: Output,
    /// Show only what happened from here on; what came before is judged all the same
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Show only what happened before this
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
}

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// The story, for people
    Human,
    /// One JSON object for each change of a verdict or incident
    Jsonl,
}

/// Replays a trace.
pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Stopped> {
    let began = Instant::now();
    if let (Some(Moment(from)), Some(Moment(to))) = (args.from, args.to)
        && from >= to
    {
        return Err(Stopped::Usage("a period begins before it ends: --from must be earlier than --to".to_owned()));
    }
    let (source, size) = open(&args.file)?;
    let (source, plans) = plans(common, args, source)?;
    let paint = Paint::choose(common.color.on(&io::stdout()));
    let mut stage = Stage {
        here: Replay::new(&plans.here),
        there: plans.there.as_ref().map(Replay::new),
        from: args.from.map(|Moment(at)| at),
        to: args.to.map(|Moment(at)| at),
        output: args.output,
        out: io::BufWriter::new(io::stdout().lock()),
        failed: None,
        story: Story::new(paint, common.verbose > 0),
        compared: plans.there.is_some().then(Compared::default),
        pages: 0,
        looks: 0,
        is_past: false,
        progress: Progress::new(size, common.quiet == 0),
    };
    let read = replay::read(source, &mut stage);
    stage.end();
    stage.progress.clear();
    if let Some(error) = stage.failed.take_if(|error| !is_gone(error)) {
        return Err(error.into());
    }
    let tally = read.map_err(|error| Stopped::Unknown(format!("cannot read {}: {error}", args.file.display())))?;
    say_odd(&tally)?;
    if tally.observations == 0 {
        return Err(Stopped::Unknown(format!("there is not one observation in {}", args.file.display())));
    }
    let pages = stage.pages;
    if !nothing_judged(&tally) && stage.looks == 0 && pages == 0 {
        let why = "nothing of the trace lies in the time that was asked for: whose fault it was then cannot be told";
        return Err(Stopped::Unknown(why.to_owned()));
    }
    let last = match (stage.output, &stage.compared) {
        (Output::Human, None) => stage.story.summary(&tally, began.elapsed()),
        (Output::Human, Some(compared)) => compared.table(paint),
        (Output::Jsonl, Some(compared)) => compared.jsonl(),
        (Output::Jsonl, None) => String::new(),
    };
    let written = stage.out.write_all(last.as_bytes()).and_then(|()| stage.out.flush());
    // Whether somebody would have been paged is true whoever still reads.
    written.or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })?;
    Ok(match () {
        () if nothing_judged(&tally) => Exit::Unknown,
        () if pages > 0 => Exit::Bad,
        () => Exit::Good,
    })
}

/// Whether the reader has read enough, as `head` does.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// The lines, and how many bytes of a file there are.
fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Stopped> {
    let cannot = |error: io::Error| Stopped::Usage(format!("cannot read {}: {error}", path.display()));
    let (mut source, size): (Box<dyn Read + Send>, _) = if path == Path::new("-") {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path).map_err(cannot)?;
        let size = file.metadata().ok().filter(|about| about.is_file()).map(|about| about.len());
        (Box::new(file), size)
    };
    let mut magic = Vec::new();
    source.by_ref().take(2).read_to_end(&mut magic).map_err(cannot)?;
    let gzipped = magic == [0x1f, 0x8b];
    let whole = io::Cursor::new(magic).chain(source);
    if gzipped {
        return Ok((Box::new(flate2::read::MultiGzDecoder::new(whole)), None));
    }
    Ok((Box::new(whole), size))
}

/// The policies to replay under.
struct Plans {
    here: Arc<Plan>,
    there: Option<Arc<Plan>>,
}

fn plans(common: &Common, args: &Args, source: Box<dyn Read + Send>) -> Result<(Box<dyn Read + Send>, Plans), Stopped> {
    let net = Net::system(Vec::new()).map_err(Stopped::Unknown)?;
    let shown = |mistakes: Mistakes| {
        Stopped::Configuration(if common.color.on(&io::stderr()) { mistakes.in_colour() } else { mistakes.to_string() })
    };
    let vantage = VantageOverrides::default();
    // Without a configuration where one is by default, the trace itself has to say what there is.
    if common.config == Path::new("probes.yaml") && !common.config.exists() {
        if args.policy.is_some() {
            let why = "there is no probes.yaml that --policy could be compared with: give --config FILE";
            return Err(Stopped::Usage(why.to_owned()));
        }
        let (source, text) = derived::configuration(source, &args.file)?;
        let read = config::read_text(&text, "the trace".as_ref(), &|_| None, &net, &vantage).map_err(shown)?;
        writeln!(
            io::stderr(),
            "usoryou: without a configuration parties and probes are taken from the trace, and nobody says who is who: \
             give --config FILE"
        )?;
        return Ok((source, Plans { here: read.plan, there: None }));
    }
    let env = |name: &str| std::env::var(name).ok();
    let here = config::read_of_elsewhere(&common.config, &env, &net).map_err(shown)?;
    let policy = |policy: &PathBuf| config::read_policy_of_elsewhere(policy, &common.config, &env, &net);
    let there = args.policy.as_ref().map(policy).transpose().map_err(shown)?;
    Ok((source, Plans { here, there }))
}

/// The replays side by side, and what is shown of them.
struct Stage<'a> {
    here: Replay,
    there: Option<Replay>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    output: Output,
    out: io::BufWriter<io::StdoutLock<'a>>,
    /// Why nothing more can be written.
    failed: Option<io::Error>,
    story: Story,
    compared: Option<Compared>,
    pages: u64,
    /// Observations of the part that is shown.
    looks: u64,
    /// Whether the trace has come to the end of that part.
    is_past: bool,
    progress: Progress,
}

impl Stage<'_> {
    /// Whether an instant is in the part that is shown.
    fn shows(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }

    fn show(&mut self, line: &Line) {
        if !self.shows(line.at) {
            return;
        }
        self.pages += u64::from(line.page);
        let shown = match (&mut self.compared, self.output) {
            (Some(compared), _) => {
                compared.here(line);
                Ok(())
            }
            (None, Output::Human) => {
                self.progress.clear();
                let text = self.story.tell(line, self.here.world());
                self.out.write_all(text.as_bytes())
            }
            (None, Output::Jsonl) => serde_json::to_writer(&mut self.out, line)
                .map_err(io::Error::from)
                .and_then(|()| self.out.write_all(b"\n")),
        };
        self.failed = self.failed.take().or(shown.err());
    }

    fn show_there(&mut self, line: &Line) {
        let shown = self.shows(line.at);
        if let Some(compared) = self.compared.as_mut().filter(|_| shown) {
            self.pages += u64::from(line.page);
            compared.there(line);
        }
    }

    /// The trace goes on after the part that is shown: what silence says until then is part of it.
    fn pass(&mut self, to: Timestamp) {
        if std::mem::replace(&mut self.is_past, true) {
            return;
        }
        let lines: Vec<Line> = self.here.until(to).collect();
        lines.iter().for_each(|line| self.show(line));
        let lines: Vec<Line> = self.there.iter_mut().flat_map(|there| there.until(to).collect::<Vec<_>>()).collect();
        lines.iter().for_each(|line| self.show_there(line));
    }

    fn end(&mut self) {
        let last: Vec<Line> = self.here.finish().collect();
        last.iter().for_each(|line| self.show(line));
        let last: Vec<Line> = self.there.iter_mut().flat_map(|there| there.finish().collect::<Vec<_>>()).collect();
        last.iter().for_each(|line| self.show_there(line));
    }
}

impl Taker for Stage<'_> {
    fn take(&mut self, seen: &Sighting<'_>, known_at: Timestamp) -> Option<Absorbed> {
        if !self.here.knows(seen.probe) {
            return None;
        }
        // A reader that went away still wants to know whether somebody would have been paged; nothing else is left to learn.
        let done = self.failed.as_ref().is_some_and(|error| !is_gone(error) || self.pages > 0);
        if done {
            return Some(Absorbed::Taken);
        }
        if let Some(to) = self.to.filter(|to| known_at >= *to) {
            self.pass(to);
            return Some(Absorbed::Taken);
        }
        self.looks += u64::from(self.shows(known_at));
        let (lines, absorbed) = self.here.take(seen, known_at);
        if lines.len() > 0 {
            let lines: Vec<Line> = lines.collect();
            lines.iter().for_each(|line| self.show(line));
        } else {
            drop(lines);
        }
        if let Some(there) = &mut self.there {
            let lines: Vec<Line> = there.take(seen, known_at).0.collect();
            lines.iter().for_each(|line| self.show_there(line));
        }
        Some(absorbed)
    }

    fn watch(&mut self, tally: &Tally) {
        self.progress.show(tally);
    }
}
