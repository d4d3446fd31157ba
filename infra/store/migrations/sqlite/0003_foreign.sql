-- What nodes of the pool have paid without our knowing, as a person has found: such a hash is asked of
-- that node only, which answers with the payment that it has (rule 24).
create table foreign_payment (
    hash blob primary key,
    node_id blob not null
) strict;
