-- Whose process carries the request out: once that is gone, nobody waits for its answer. Whoever began one
-- before this is gone.
alter table idempotency add column session_id blob;
