# Each invariant of src/hnsw/README.md is broken on purpose, in an index of its
# own, and vecext_index_check names it.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;
use VecextDamage;

my $rows = 600;

# name => [ invariant that must be among those found, damage, options of the index, more columns ]
my %damage = (
	none => [ '', sub { } ],
	f1_page_id => [ 'F1', sub {
		my ($pages, $meta) = @_;
		put_at($pages, (slot_at($meta, 0))[0], 8190 - PAGE_START, u16(0x1234));
	} ],
	f1_hole => [ 'F1', sub {
		my ($pages) = @_;
		my ($block) = blocks_of_kind($pages, MODEL);
		put_at($pages, $block, 8183 - PAGE_START, "\1");
	} ],
	f2_kind => [ 'F2', sub {
		my ($pages, $meta) = @_;
		put_at($pages, (slot_at($meta, 0))[0], 8188 - PAGE_START, u16(REFINE));
	} ],
	f3_links => [ 'F3', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset + 2, "\xff");
	} ],
	f3_upper => [ 'F3', sub {
		my ($pages) = @_;
		my ($block) = blocks_of_kind($pages, UPPER);
		put_at($pages, $block, 7, "\xff");
	} ],
	f4_code => [ 'F4', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset + $meta->{code_offset}, u32(0x7fc00000));
	} ],
	h1_state => [ 'H1', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset, "\7");
	} ],
	h2_refine => [ 'H2', sub {
		my ($pages) = @_;
		my ($block) = blocks_of_kind($pages, REFINE);
		put_at($pages, $block, 12, pack('f', 1000));
	} ],
	h2_half => [ 'H2', sub {
		my ($pages) = @_;
		my ($block) = blocks_of_kind($pages, REFINE);
		put_at($pages, $block, 12, u16(0x6400));
	}, 'WITH (refine = half)' ],
	h2_int8 => [ 'H2', sub {
		my ($pages) = @_;
		my ($block) = blocks_of_kind($pages, REFINE);
		put_at($pages, $block, 4, pack('f', 10));
	}, 'WITH (refine = int8)' ],
	none_half => [ '', sub { }, 'WITH (refine = half)' ],
	none_int8 => [ '', sub { }, 'WITH (refine = int8)' ],
	h3_offset => [ 'H3', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset + 12, u16(0xffff));
	} ],
	h4_link => [ 'H4', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset + 24, u32(1_000_000));
	} ],
	h4_self => [ 'H4', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset + 24, u32(5));
	} ],
	h4_entry => [ 'H4', sub {
		my ($pages) = @_;
		put_at($pages, 0, 68, u32(1_000_000));
	} ],
	h5_no_row => [ 'H5', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset + 12, u16(0));
	} ],
	h5_dead_row => [ 'H5', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset, "\2");
	} ],
	h6_shared => [ 'H6', sub {
		my ($pages, $meta) = @_;
		my $chain;
		for my $node (0 .. $rows - 1)
		{
			my ($block, $offset) = slot_at($meta, $node);
			$chain = get_at($pages, $block, $offset + 16, 'L');
			last if $chain != NONE;
		}
		die 'no chain' if $chain == NONE;
		for my $node (0 .. $rows - 1)
		{
			my ($block, $offset) = slot_at($meta, $node);
			next if get_at($pages, $block, $offset + 16, 'L') != NONE;
			put_at($pages, $block, $offset + 16, u32($chain));
			last;
		}
	} ],
	h6_nowhere => [ 'H6', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset + 16, u32(0x7fffffff));
	} ],
	h7_twice => [ 'H7', sub {
		my ($pages, $meta) = @_;
		my ($from, $from_offset) = slot_at($meta, 4);
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset + 8,
			substr($$pages, $from * PAGE + PAGE_START + $from_offset + 8, 6));
	} ],
	h8_overlap => [ 'H8', sub {
		my ($pages) = @_;
		put_at($pages, 0, 96, u32(1));
	} ],
	h9_dead_link => [ 'H9', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset, "\2");
		put_at($pages, $block, $offset + 12, u16(0));
	} ],
	h9_upper => [ 'H9', sub {
		my ($pages) = @_;
		my ($block) = blocks_of_kind($pages, UPPER);
		put_at($pages, $block, 4, u16(77));
	} ],
	h10_unreached => [ 'H10', sub {
		my ($pages, $meta) = @_;
		my $lost;
		for my $node (0 .. 300)
		{
			my ($block, $offset) = slot_at($meta, $node);
			$lost = $node if get_at($pages, $block, $offset + 1, 'C') == 0
			  && get_at($pages, $block, $offset, 'C') == 1
			  && get_at($pages, 0, 68, 'L') != $node;
		}
		for my $node (0 .. $rows - 1)
		{
			my ($block, $offset) = slot_at($meta, $node);
			for my $i (0 .. get_at($pages, $block, $offset + 2, 'C') - 1)
			{
				my $at = $offset + 24 + 4 * $i;
				put_at($pages, $block, $at, u32(NONE))
				  if get_at($pages, $block, $at, 'L') == $lost;
			}
		}
		for my $i (0 .. get_at($pages, $meta->{entry_page}, 0, 'L') - 1)
		{
			put_at($pages, $meta->{entry_page}, 8 + 4 * $i, u32(NONE))
			  if get_at($pages, $meta->{entry_page}, 8 + 4 * $i, 'L') == $lost;
		}
	} ],
	h12_word => [ 'H12', sub {
		my ($pages) = @_;
		my ($block) = blocks_of_kind($pages, FILTER);
		put_at($pages, $block, 5 * 8, "\7");
	}, '', ', id' ],
	h12_missing => [ 'H12', sub {
		my ($pages) = @_;
		my ($block) = blocks_of_kind($pages, FILTER);
		# 960 words, then the bits of nodes there are
		put_at($pages, $block, 960 * 8, chr(get_at($pages, $block, 960 * 8, 'C') & ~4));
	}, '', ', id' ],
	h12_mixed => [ 'H12', sub {
		my ($pages) = @_;
		my ($block) = blocks_of_kind($pages, FILTER);
		put_at($pages, $block, 960 * 8 + 960 / 8, "\0" x 120);
	}, '', ', n' ],
	none_filter => [ '', sub { }, '', ', id' ],
	heap_missing => [ 'heap', sub {
		my ($pages, $meta) = @_;
		my ($block, $offset) = slot_at($meta, 5);
		put_at($pages, $block, $offset, "\0");
		put_at($pages, $block, $offset + 12, u16(0));
		put_at($pages, $block, $offset + 16, u32(NONE));
	} ],
);

my $node = vecext_node('main', init => [ no_data_checksums => 1 ], conf => "autovacuum = off\n");
$node->safe_psql('postgres', <<SQL);
CREATE TABLE items (id int, v vector(48), n int);
INSERT INTO items SELECT g, random_vector(48, g), g FROM generate_series(1, $rows) g;
INSERT INTO items SELECT $rows + g, random_vector(48, g), n FROM generate_series(1, 20) g,
	generate_series(1, 12) n;
SQL
for my $name (sort keys %damage)
{
	my $options = $damage{$name}[2] // '';
	my $columns = $damage{$name}[3] // '';
	$node->safe_psql('postgres',
		"CREATE INDEX $name ON items USING hnsw (v vector_l2_ops$columns) $options");
}

# hints that the next vacuum must put right, of a table of their own
$node->safe_psql('postgres', 'CREATE TABLE healed AS SELECT * FROM items');
for my $name (qw(h9_upper h10_unreached))
{
	$node->safe_psql('postgres', "CREATE INDEX heal_$name ON healed USING hnsw (v vector_l2_ops)");
	$damage{"heal_$name"} = $damage{$name};
}
my %path = map { $_ => index_path($node, $_) } keys %damage;

$node->stop;
for my $name (sort keys %damage)
{
	my $pages = read_pages($path{$name});
	my $meta = meta_of(\$pages);
	$damage{$name}[1]->(\$pages, $meta);
	write_pages($path{$name}, $pages);
}
$node->start;

for my $name (sort keys %damage)
{
	my $invariant = $damage{$name}[0];
	my ($rc, $out, $err) = $node->psql('postgres',
		"SELECT DISTINCT invariant FROM vecext_index_check('$name', true) ORDER BY 1");
	if ($invariant eq '')
	{
		is($out, '', "$name: nothing is found");
		next;
	}
	like($out, qr/^\Q$invariant\E$/m, "$name: $invariant is found");
	unlike($err, qr/ERROR|FATAL|PANIC/, "$name: without an error");
}

# vacuum cures hints: upper slots nobody has, nodes that cannot be reached
$node->safe_psql('postgres', 'DELETE FROM healed WHERE id BETWEEN 100 AND 120');
$node->safe_psql('postgres', 'VACUUM healed');
for my $name (qw(heal_h9_upper heal_h10_unreached))
{
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('$name', true)"),
		'', "$name: sound after VACUUM");
}

# REINDEX cures all of them
$node->safe_psql('postgres', 'REINDEX TABLE items');
$node->safe_psql('postgres', 'REINDEX TABLE healed');
for my $name (sort keys %damage)
{
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('$name', true)"),
		'', "$name: sound after REINDEX");
}

# who may look
$node->safe_psql('postgres', <<SQL);
CREATE ROLE nobody;
CREATE ROLE watcher IN ROLE pg_read_all_stats;
CREATE ROLE reader;
GRANT SELECT ON items TO reader;
SQL
sub sqlstate
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres',
		"\\set VERBOSITY sqlstate\nSET ROLE $role;\n$sql");
	return $err =~ /ERROR:\s+(\w+)/ ? $1 : '';
}
is(sqlstate('nobody', "SELECT vecext_index_check('none')"), '42501', 'check: not for all');
is(sqlstate('nobody', "SELECT vecext_index_stats('none')"), '42501', 'figures: not for all');
is(sqlstate('nobody', "SELECT vecext_recall('none')"), '42501', 'recall: not for all');
is(sqlstate('watcher', "SELECT vecext_index_check('none', true)"), '', 'check: for statistics');
is(sqlstate('watcher', "SELECT vecext_index_stats('none')"), '', 'figures: for statistics');
is(sqlstate('watcher', "SELECT vecext_recall('none')"), '42501', 'recall: not for statistics');
is(sqlstate('reader', "SELECT vecext_recall('none')"), '', 'recall: for readers of the table');
is(sqlstate('reader', "SELECT vecext_index_check('none')"), '42501', 'check: not for readers');

# no lock is waited for without the right to look
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE');
is(sqlstate('nobody', "SET lock_timeout = '5s'; SELECT vecext_index_check('none')"),
	'42501', 'refused before a lock is asked for');
$locker->quit;

is(sqlstate('postgres', "SELECT vecext_index_check('items')"), '42809', 'a table is no index')
  if $node->safe_psql('postgres', 'SELECT current_user') eq 'postgres';
$node->safe_psql('postgres', 'CREATE INDEX by_id ON items (id)');
my ($rc, $out, $err) =
  $node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT vecext_index_check('by_id')");
like($err, qr/42809/, 'an index of another access method');
cmp_ok($node->safe_psql('postgres', "SELECT vecext_recall('none', 50, 10)"),
	'>=', 0.95, 'recall of a small index');
is( $node->safe_psql('postgres',
		"SELECT value FROM vecext_index_stats('none') WHERE name = 'rows'"),
	$rows + 240, 'the index has all rows');

$node->stop;
done_testing();
