-- Stored forms are bytes: JSON, which they were, took twice the room and had to be written twice for
-- each payment. Those that are there stay as they are; their first byte tells the two apart.
alter table journal alter column body type bytea using convert_to(body, 'UTF8');
alter table payment alter column body type bytea using convert_to(body, 'UTF8');
alter table standing alter column body type bytea using convert_to(body, 'UTF8');
