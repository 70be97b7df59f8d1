-- Who reports, from which node, heard when last, and how far its clock is ahead, in microseconds.
create table agent (
    name    text    not null,
    node    text    not null,
    region  text    not null,
    seen_at integer not null,
    ahead   integer,
    primary key (name, node)
) without rowid;
