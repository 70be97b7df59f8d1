-- All that is known of an agent; one that a hub of an earlier version has heard has nothing here.
alter table agent add column body text not null default '';

-- What regions that judged by themselves have handed over, until whoever judges has taken it.
create table handover (
    id       integer not null primary key autoincrement,
    region   text    not null,
    at       integer not null,
    taken_at integer,
    body     text    not null
);
