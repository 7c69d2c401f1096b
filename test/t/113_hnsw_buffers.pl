# A backend remembers which buffers held an index's pages.  With so few buffers
# that most are taken by other pages from query to query, the rows are those
# that backends find that remember nothing; and blocks are counted either way.
use strict;
use warnings FATAL => 'all';
use Test::More;
use VecextTest;

my $node = vecext_node('buffers', conf => "shared_buffers = 512kB\nautovacuum = off\n");
$node->safe_psql('postgres', <<SQL);
CREATE TABLE large (id int, v vector(48));
INSERT INTO large SELECT i, random_vector(48, i) FROM generate_series(1, 3000) i;
CREATE INDEX large_v ON large USING hnsw (v vector_l2_ops);
CREATE TABLE small AS SELECT * FROM large WHERE id <= 250;
CREATE INDEX small_v ON small USING hnsw (v vector_l2_ops);
VACUUM ANALYZE;
SQL
cmp_ok($node->safe_psql('postgres', "SELECT pg_relation_size('large_v') / 8192"), '>', 128,
	'the index is larger than the buffers');

my $set = "SET enable_seqscan = off; SET hnsw.ef_search = 20;\n";

sub query
{
	my ($table, $seed) = @_;
	return "SELECT array_agg(id) FROM (SELECT id FROM $table ORDER BY v <-> " .
		"random_vector(48, $seed) LIMIT 10) s;\n";
}

# rows, three times over in one session, with other pages read in between
my @seeds = (10001 .. 10015);
my $alone = join("\n", map { $node->safe_psql('postgres', $set . query('large', $_)) } @seeds);
my $round = join('', map { query('large', $_) } @seeds);
my $other = "SET enable_seqscan = on; SELECT 'rows', count(*) FROM large; SET enable_seqscan = off;\n";
my $rounds = $node->safe_psql('postgres', $set . ($round . $other) x 3);
is($rounds, join("\n", ("$alone\nrows|3000") x 3), 'the same rows, whatever the buffers hold');

# blocks; the first query of a session reads the model besides
my $blocks = <<SQL;
SELECT pg_stat_force_next_flush();
SELECT 'blocks ' || idx_blks_hit + idx_blks_read FROM pg_statio_user_indexes
	WHERE indexrelname = 'small_v';
SQL
my $output = $node->safe_psql('postgres', $set . (query('small', 1) . $blocks) x 6);
my @counts = $output =~ /blocks (\d+)/g;
my @each = map { $counts[$_] - $counts[ $_ - 1 ] } 1 .. $#counts;
is(scalar(@each), 5, 'blocks were counted');
cmp_ok($each[0], '>', 15, 'a query reads blocks');
is("@each[1 .. 4]", join(' ', ($each[0]) x 4), 'the same number each time');

done_testing();
