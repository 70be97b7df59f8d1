-- Times are whole microseconds since 1970 in UTC, but for the lease, which goes by this database's own clock. `body` is the
-- JSON of the wire; the columns beside it are what is asked for.

-- One partition a day, made ahead of time; what is due on a day that has none (an agent that comes back after weeks) lies
-- in the last one. `tx` is who wrote it: readers that follow what arrives skip nothing, in whatever order writers end.
create table observation (
    id           uuid   not null,
    probe        text   not null,
    party        text   not null,
    region       text   not null,
    scheduled_at bigint not null,
    outcome      text   not null,
    body         text   not null,
    tx           xid8   not null default pg_current_xact_id()
) partition by range (scheduled_at);
-- What makes a re-send free.
create unique index observation_time_id on observation (scheduled_at, id);
create index observation_probe_time on observation (probe, scheduled_at);
create index observation_tx on observation (tx);
create table observation_other partition of observation default;

create table incident (
    id        text   collate "C" not null primary key,
    party     text   not null,
    state     text   not null check (state in ('suspected', 'open', 'recovering', 'closed')),
    onset     bigint not null,
    closed_at bigint,
    body      text   not null
);
create index incident_onset on incident (onset);
create index incident_state on incident (state);

-- The outbox. A letter is pending, then claimed by the one who will send it, then handed over once its last byte may have
-- left, then sent or dead. `overdue` marks a letter that was handed over and not answered for a while, `doubt` whether one
-- without a recorded answer has arrived, `elsewhere` the channel that was told instead.
create table letter (
    id         bigint not null primary key generated always as identity,
    key        text   not null unique,
    channel    text   not null,
    incident   text   not null,
    state      text   not null default 'pending' check (state in ('pending', 'claimed', 'handed_over', 'sent', 'dead')),
    overdue    bigint not null default 0,
    attempts   bigint not null default 0,
    not_before bigint not null default 0,
    at         bigint not null,
    done_at    bigint,
    doubt      text   check (doubt in ('likely', 'unlikely')),
    elsewhere  text,
    body       text   not null
);
create index letter_unsent on letter (channel, id) where state in ('pending', 'claimed', 'handed_over');
create index letter_done on letter (done_at);
create index letter_incident on letter (incident, channel);

-- Every answer of a channel; the newest one says whether the channel is well.
create table delivery (
    id      bigint not null primary key generated always as identity,
    letter  bigint not null,
    channel text   not null,
    at      bigint not null,
    result  text   not null check (result in ('taken', 'later', 'never')),
    why     text   not null
);
create index delivery_channel on delivery (channel, id);

-- Where a channel stands with an incident: the letter that it took last, and what it wants to remember of its own message
-- (in its own words), so that it can be changed in place. `marked_by` is the key of the letter that was shown there last.
create table standing (
    channel   text   not null,
    incident  text   not null,
    marked_by text,
    mark      text,
    taken_at  bigint,
    body      text,
    primary key (channel, incident)
);

-- Who does not want to hear of what, why, until when. A silence that ended stays a while: it tells who muted what.
create table silence (
    id    bigint not null primary key generated always as identity,
    until bigint not null,
    body  text   not null
);

-- Who reports, from which node, heard when last, and how far its clock is ahead, in microseconds.
create table agent (
    name    text   not null,
    node    text   not null,
    region  text   not null,
    seen_at bigint not null,
    ahead   bigint,
    primary key (name, node)
);

-- Who leads: one row. Whoever finds it expired takes the next epoch; every write of a leader asks for its own.
create table lease (
    epoch  bigint      not null primary key,
    holder text        not null,
    until  timestamptz not null
);
insert into lease values (0, '', '-infinity');

-- What the leader thinks, for the pages of the others: one row.
create table picture (
    epoch bigint not null,
    at    bigint not null,
    body  text   not null
);
insert into picture values (0, 0, '');
