//! `GET /`: what there is to see here.

use axum::{http::header, response::IntoResponse};

const LIST: &str = "usoryou: is it us, is it them, or is it you?

/metrics                       figures for Prometheus
/probe?target=…&module=…       one probe now, as blackbox_exporter answers
/healthz  /readyz              whether this process lives, whether it can be relied on
/api/v1/status                 what runs here
/api/v1/verdicts               whose fault, now; ?party= &at=
/api/v1/incidents              what is open, what was
/api/v1/silences               what nobody is to hear of for a while
/api/v1/agents                 who reports here, and what runs there
/api/v1/reports                availability of each provider; ?from= &to= &party= &format=json|html
/api/v1/probes                 what is looked at
/api/v1/observations           what was seen; ?probe= &region= &since= &limit= &format=json, or =jsonl: all
/api/v1/openapi.json           all of /api/v1, for programs
POST /api/v1/observations      where agents hand in what they saw, each with its token
POST /slack/command            where Slack asks (/usoryou firebase), signed
POST /-/reload                 read the configuration again
";

pub(super) async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], LIST)
}
