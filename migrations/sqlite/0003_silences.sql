-- Who does not want to hear of what, why, until when. A silence that ended stays a while: it tells who muted what.
create table silence (
    id    integer not null primary key autoincrement,
    until integer not null,
    body  text    not null
);
