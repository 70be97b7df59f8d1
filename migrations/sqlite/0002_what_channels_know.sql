-- Where a channel stands with an incident: the letter that it took last, and what it wants to remember of its own message
-- (in its own words), so that it can be changed in place. `marked_by` is the key of the letter that was shown there last.
create table standing (
    channel   text    not null,
    incident  text    not null,
    marked_by text,
    mark      text,
    taken_at  integer,
    body      text,
    primary key (channel, incident)
) without rowid;

-- Whether a letter that has no recorded answer has arrived, where the channel can be asked for it.
alter table letter add column doubt text check (doubt in ('likely', 'unlikely'));
-- The channel that was told instead, because this one could not be reached.
alter table letter add column elsewhere text;
create index letter_incident on letter (incident, channel);
