-- Times are whole microseconds since 1970 in UTC. `body` is the JSON of the wire; the columns beside it are what is asked for.

create table observation (
    id           blob    not null,
    probe        text    not null,
    party        text    not null,
    region       text    not null,
    scheduled_at integer not null,
    outcome      text    not null,
    body         text    not null
);
-- What makes a re-send free. The time comes first, so that new rows go to one end of the index instead of all over it,
-- and so that it serves questions about time as well.
create unique index observation_time_id on observation (scheduled_at, id);
create index observation_probe_time on observation (probe, scheduled_at);

create table incident (
    id        text    not null primary key,
    party     text    not null,
    state     text    not null check (state in ('suspected', 'open', 'recovering', 'closed')),
    onset     integer not null,
    closed_at integer,
    body      text    not null
) without rowid;
create index incident_onset on incident (onset);
create index incident_state on incident (state);

-- The outbox. A letter is pending, then claimed by the one who will send it, then handed over once its last byte may have
-- left, then sent or dead. `overdue` marks a letter that was handed over and not answered for a while.
create table letter (
    id         integer not null primary key autoincrement,
    key        text    not null unique,
    channel    text    not null,
    incident   text    not null,
    state      text    not null default 'pending' check (state in ('pending', 'claimed', 'handed_over', 'sent', 'dead')),
    overdue    integer not null default 0,
    attempts   integer not null default 0,
    not_before integer not null default 0,
    at         integer not null,
    done_at    integer,
    body       text    not null
);
create index letter_unsent on letter (channel, id) where state in ('pending', 'claimed', 'handed_over');
create index letter_done on letter (done_at);

-- Every answer of a channel; the newest one says whether the channel is well.
create table delivery (
    id      integer not null primary key autoincrement,
    letter  integer not null,
    channel text    not null,
    at      integer not null,
    result  text    not null check (result in ('taken', 'later', 'never')),
    why     text    not null
);
create index delivery_channel on delivery (channel, id);
