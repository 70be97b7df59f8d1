//! `usoryou report`: availability of each provider over a period, from a hub or from a store. Owns the period and who
//! makes the report; how it is added up is `crate::report`'s, how it looks as a page is `crate::web`'s.

mod text;

use std::{
    io::{self, Write as _},
    path::Path,
};

use chrono::{Months, NaiveDate, NaiveTime};

use super::{
    Common, Exit, Stopped,
    asking::{self, Where},
    moment::Moment,
    paint::Paint,
};
use crate::{
    config::{self, Plan},
    model::Timestamp,
    net::Net,
    protocol::Span,
    report::Report,
    store::{Store, StoreError},
    web::{self, Period},
};

/// Which period, of whom, from where.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A calendar month in UTC
    #[arg(long, value_name = "YYYY-MM", conflicts_with_all = ["from", "to", "last"])]
    month: Option<String>,
    /// Beginning of the period
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// End of the period [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
    /// The time that has just passed, such as 7d [default: 30d]
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["from", "to"])]
    last: Option<Span>,
    /// Only this party, by its key or its name; every provider when none is named
    #[arg(long, value_name = "PARTY")]
    party: Option<String>,
    /// Read this store instead of asking the hub; it may be in use
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// How to say it
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    place: Where,
}

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people at a terminal
    Text,
    /// One JSON document
    Json,
    /// One row for each party and product
    Csv,
    /// A page that prints well
    Html,
}

/// Makes a report.
pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Stopped> {
    let (from, to) = period(args, chrono::Utc::now()).map_err(Stopped::Usage)?;
    let report = super::runtime()?.block_on(async {
        match &args.store {
            Some(store) => from_store(common, store, from, to, args.party.as_deref()).await,
            None => from_hub(args, from, to).await,
        }
    })?;
    let mut out = io::stdout().lock();
    match args.output {
        Output::Text => {
            let paint = Paint::choose(common.color.on(&io::stdout()));
            write!(out, "{}", text::text(&report, paint))?;
        }
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report).map_err(io::Error::from)?)?,
        Output::Csv => write!(out, "{}", text::csv(&report))?,
        Output::Html => write!(out, "{}", web::report_html(&report))?,
    }
    out.flush()?;
    if let Some(party) = args.party.as_ref().filter(|_| report.parties.is_empty()) {
        return Err(Stopped::Unknown(format!("nothing is known of a party `{party}` in this period")));
    }
    Ok(if report.parties.is_empty() { Exit::Unknown } else { Exit::Good })
}

async fn from_hub(args: &Args, from: Timestamp, to: Timestamp) -> Result<Report, Stopped> {
    let mut question = vec![("from", from.to_rfc3339()), ("to", to.to_rfc3339())];
    question.extend(args.party.iter().map(|party| ("party", party.clone())));
    asking::ask_json(&args.place.hub, "reports", &question, asking::WITHIN).await
}

async fn from_store(
    common: &Common,
    url: &str,
    from: Timestamp,
    to: Timestamp,
    party: Option<&str>,
) -> Result<Report, Stopped> {
    let store = Store::open_to_read(url).await.map_err(|error| match error {
        StoreError::Unreachable { .. } | StoreError::Server { .. } => Stopped::Unknown(error.to_string()),
        error => Stopped::Usage(error.to_string()),
    })?;
    let plan = plan(common)?;
    let period = Period { from, to, party: party.map(Into::into) };
    let made = web::report(&store, plan.as_deref(), &period).await;
    made.map_err(|error| Stopped::Unknown(error.to_string()))
}

/// The configuration says names, kinds and planned windows; a store can be read without it.
fn plan(common: &Common) -> Result<Option<std::sync::Arc<Plan>>, Stopped> {
    if common.config == Path::new("probes.yaml") && !common.config.exists() {
        writeln!(
            io::stderr(),
            "usoryou: without a configuration every party is taken for a provider: give --config FILE"
        )?;
        return Ok(None);
    }
    let net = Net::system(Vec::new()).map_err(Stopped::Unknown)?;
    let env = |name: &str| std::env::var(name).ok();
    let read = config::read_of_elsewhere(&common.config, &env, &net);
    read.map(Some).map_err(|mistakes| Stopped::Configuration(mistakes.to_string()))
}

fn period(args: &Args, now: Timestamp) -> Result<(Timestamp, Timestamp), String> {
    let (from, to) = if let Some(month) = &args.month {
        let wrong = || format!("`{month}` is no month: write 2026-10");
        let first = NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d").map_err(|_| wrong())?;
        let next = first.checked_add_months(Months::new(1)).ok_or_else(wrong)?;
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        (midnight(first), midnight(next).min(now))
    } else {
        // Nothing is known of what is still to come.
        let to = args.to.map_or(now, |Moment(to)| to.min(now));
        let last = args.last.map_or(chrono::TimeDelta::days(30), |Span(last)| {
            chrono::TimeDelta::from_std(last).unwrap_or(chrono::TimeDelta::MAX)
        });
        let begin = to.checked_sub_signed(last).ok_or("so long ago there was nothing")?;
        (args.from.map_or(begin, |Moment(from)| from), to)
    };
    if from >= to {
        return Err("a period begins before it ends, and not in the future".to_owned());
    }
    Ok((from, to))
}
