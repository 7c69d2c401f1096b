# Concurrent inserts into hnsw indexes: every row is found, exactly once, on the
# primary, on a standby that compares each page it replays, and after promotion.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use Test::More;
use VecextTest;

my $primary = vecext_node('primary',
	init => [ allows_streaming => 1 ],
	conf => "wal_consistency_checking = all\nautovacuum = off\nmax_wal_size = 2GB\nwal_keep_size = 2GB\n");
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# table, type, class, operator, value from the seed :s
my @cases = (
	[ 'l2', 'vector(40)', 'vector_l2_ops', '<->', 'random_vector(40, :s)' ],
	# one in ten is zero, which has no direction
	[ 'cos', 'halfvec(24)', 'halfvec_cosine_ops', '<=>', <<'SQL' ],
(SELECT array_agg(CASE WHEN :s % 10 = 0 THEN 0 ELSE x END)
 FROM unnest(random_vector(24, :s)::real[]) x)::vector::halfvec(24)
SQL
	# more than a page
	[ 'long', 'vector(3000)', 'vector_l1_ops', '<+>', 'random_vector(3000, :s)' ],
	[ 'bits', 'bit(70)', 'bit_hamming_ops', '<~>',
		'(:s::bigint * 2654435761 % 1180591620717)::bit(70)' ]);
for my $case (@cases)
{
	my ($name, $type, $class) = @$case;
	$primary->safe_psql('postgres', <<SQL);
CREATE TABLE $name (id serial PRIMARY KEY, v $type);
CREATE INDEX ${name}_v ON $name USING hnsw (v $class);
SQL
}

# what one client does: mostly new values, sometimes one of a few
my $script = "\\set r random(1, 1000000)\n\\set e random(1, 5)\n\\set pick random(1, 5)\n";
$script .= "\\if :pick = 1\n\\set s :e\n\\else\n\\set s :r\n\\endif\n";
for my $case (@cases)
{
	(my $value = $case->[4]) =~ s/\s+/ /g;
	$script .= "INSERT INTO $case->[0] (v) VALUES ($value);\n";
}

sub insert_rows
{
	my ($node, $transactions) = @_;
	$node->pgbench("--no-vacuum --client=4 --jobs=2 --random-seed=7 --transactions=$transactions",
		0, [qr{processed: (\d+)/\1}], [qr{^(?!.*ERROR)}s], 'concurrent inserts',
		{ "insert_$transactions" => $script });
}

# all rows come back once, and the nearest one of each of some is itself
sub check_rows
{
	my ($node, $when) = @_;
	for my $case (@cases)
	{
		my ($name, undef, undef, $operator) = @$case;
		my $plan = "SET enable_seqscan = off; SET enable_sort = off; SET hnsw.max_scan_tuples = 1000000;";
		# H10: of two inserts at once each may drop a link that the other counts on;
		# the sweep finds the node, the next vacuum links it
		is($node->safe_psql('postgres', <<SQL), '', "$when: ${name}_v keeps its invariants");
SELECT * FROM vecext_index_check('${name}_v', true) WHERE invariant <> 'H10';
SQL
		is($node->safe_psql('postgres', <<SQL), '0|0', "$when: $name has every row once");
$plan
SELECT count(*) - count(DISTINCT id), (SELECT count(*) FROM $name) - count(*) FROM
	(SELECT id FROM $name ORDER BY v $operator (SELECT v FROM $name WHERE id = 3)) s;
SQL
		my $found = $node->safe_psql('postgres', <<SQL);
$plan
SET hnsw.iterative_scan = off;
SELECT round(avg((SELECT x.d = 0 OR x.d = 'NaN' OR abs(x.d) < 1e-6 FROM
	(SELECT t.v $operator o.v AS d FROM $name t ORDER BY t.v $operator o.v LIMIT 1) x)::int), 3)
FROM (SELECT v FROM $name WHERE id % 5 = 0) o WHERE (o.v $operator o.v) <> 'NaN';
SQL
		cmp_ok($found, '>=', 0.95, "$when: $name finds what was inserted ($found)");
	}
}

insert_rows($primary, 90);
check_rows($primary, 'primary');
$primary->wait_for_catchup($standby);
check_rows($standby, 'standby');

# what replay cannot know of, full pages included
$primary->safe_psql('postgres', 'CHECKPOINT');
insert_rows($primary, 30);
$primary->wait_for_catchup($standby);
$standby->promote;
insert_rows($standby, 31);
check_rows($standby, 'promoted');

done_testing();
