//! The fields of a line that judging needs, by their names; all others are passed over.

/// What of a line is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Probe,
    Party,
    Product,
    Region,
    Node,
    Build,
    Config,
    Credential,
    ScheduledAt,
    StartedAt,
    ReceivedAt,
    Outcome,
    Connection,
    Peer,
    Varied,
    Failure,
    Phases,
    Duration,
    HttpStatus,
    Resolve,
    Connect,
    Other,
}

/// Of a line.
pub(super) const FIELDS: &[(&str, Field)] = &[
    ("probe", Field::Probe),
    ("party", Field::Party),
    ("product", Field::Product),
    ("region", Field::Region),
    ("node", Field::Node),
    ("build", Field::Build),
    ("config", Field::Config),
    ("credential", Field::Credential),
    ("scheduled_at", Field::ScheduledAt),
    ("started_at", Field::StartedAt),
    ("received_at", Field::ReceivedAt),
    ("outcome", Field::Outcome),
    ("connection", Field::Connection),
    ("peer", Field::Peer),
    ("varied", Field::Varied),
    ("failure", Field::Failure),
    ("phases", Field::Phases),
    ("duration", Field::Duration),
    ("http_status", Field::HttpStatus),
];

/// Of `phases`.
pub(super) const PHASES: &[(&str, Field)] = &[("resolve", Field::Resolve), ("connect", Field::Connect)];
