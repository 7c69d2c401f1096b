# Values survive a crash and reach a standby, bit for bit, btree index included.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use Test::More;
use VecextTest;

my $primary = vecext_node('primary',
	init => [ allows_streaming => 1 ],
	conf => "checkpoint_timeout = 1h\nmax_wal_size = 1GB\nwal_keep_size = 2GB\nautovacuum = off\n");
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# a checksum of the bits of every row
my $bits = <<'SQL';
SELECT md5(string_agg(md5(coalesce(vector_send(v), '')) || md5(coalesce(halfvec_send(h), ''))
		|| md5(coalesce(sparsevec_send(s), '')), '' ORDER BY id)), count(*)
FROM types
SQL
my $indexed = <<'SQL';
SET enable_seqscan = off;
SELECT count(*) FROM types WHERE v = (SELECT v FROM types WHERE id = 5);
SQL

$primary->safe_psql('postgres', fill_types('types'));
$primary->safe_psql('postgres', <<'SQL');
DELETE FROM types WHERE vector_dims(v) > 500;	-- a btree key must fit in a page
CREATE INDEX types_v_idx ON types (v);
INSERT INTO types (v, h, s)
	SELECT random_vector(64, i), random_vector(64, i)::halfvec, random_vector(64, i)::sparsevec
	FROM generate_series(1, 2000) i;
UPDATE types SET v = v + v WHERE id % 3 = 0 AND id > 100;
DELETE FROM types WHERE id % 7 = 0;
SQL
my $before = $primary->safe_psql('postgres', $bits);
like($before, qr/\|1[5-9]\d\d$/, 'there are rows');

# the rows are in WAL only: stop hard, replay
$primary->stop('immediate');
$primary->start;
is($primary->safe_psql('postgres', $bits), $before, 'same bits after a crash');
is($primary->safe_psql('postgres', $indexed), '1', 'the index finds a row after a crash');

$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $bits), $before, 'same bits on the standby');
is($standby->safe_psql('postgres', $indexed), '1', 'the index finds a row on the standby');

my $search = "SELECT id FROM types WHERE vector_dims(v) = 64 ORDER BY v <-> random_vector(64, 1), id LIMIT 10";
my $nearest = $primary->safe_psql('postgres', $search);
like($nearest, qr/^(?:\d+\n){9}\d+$/, 'a search finds 10 rows');
is($standby->safe_psql('postgres', $search), $nearest, 'search on the standby');

# and after promotion it goes on
$standby->promote;
$standby->safe_psql('postgres', "INSERT INTO types (v) VALUES ('[1,2,3]')");
is($standby->safe_psql('postgres', "SET enable_seqscan = off; SELECT count(*) FROM types WHERE v = '[1,2,3]'"),
	'1', 'a promoted standby takes inserts');

done_testing();
