-- Whose process carries the request out: once that is gone, nobody waits for its answer. A version from before
-- this does not say.
alter table idempotency add column session uuid;
