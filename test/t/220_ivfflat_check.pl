# Each invariant of src/ivfflat/README.md is broken on purpose, in an index of its
# own, and vecext_index_check names it.  L10 is not one that pages can break.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;
use VecextDamage qw(index_path read_pages write_pages nblocks get_at put_at page_kind u16 u32
  PAGE PAGE_START NONE);
use VecextIvf;

my $rows = 1500;

# a page's opaque area, from behind its header
use constant { ID => 8184 - PAGE_START, KIND => 8188 - PAGE_START, PAGE_ID => 8190 - PAGE_START };

# writes behind an array's beginning on the first page of list 0
sub put_list
{
	my ($pages, $meta, $array, $offset, $bytes) = @_;
	my ($block, $at) = list_at($pages, $meta, 0, $array);
	put_at($pages, $block, $at + $offset, $bytes);
	return;
}

# writes into the directory's record of list 0
sub put_record
{
	my ($pages, $meta, $offset, $bytes) = @_;
	my ($block, $at) = list_record_at($pages, $meta, 0);
	put_at($pages, $block, $at + $offset, $bytes);
	return;
}

# the first record page of list 0
sub record_page
{
	my ($pages, $meta) = @_;
	return get_at($pages, list_at($pages, $meta, 0, 'records'), 'L');
}

# name => [ invariant that must be among those found, damage ]
my %damage = (
	none => [ '', sub { } ],
	f1_page_id => [ 'F1', sub { put_list(@_, '', PAGE_ID, u16(0x1234)) } ],
	f1_hole => [ 'F1', sub {
		my ($pages, $meta) = @_;
		put_at($pages, $meta->{model_start}, ID - 1, "\1");
	} ],
	f2_kind => [ 'F2', sub { put_list(@_, '', KIND, u16(CODE)) } ],
	f2_id => [ 'F2', sub {
		my ($pages, $meta) = @_;
		put_at($pages, record_page($pages, $meta), ID, u32(999));
	} ],
	f2_next => [ 'F2', sub {
		my ($pages, $meta) = @_;
		my @chain = chain_of($pages, $meta, 0);
		my ($other) = list_record($pages, $meta, 1);
		put_at($pages, $chain[-1], 0, u32($other));
	} ],
	f2_stray => [ 'F2', sub {
		my ($pages) = @_;
		$$pages .= substr($$pages, 0, PAGE);
	} ],
	f3_rows => [ 'F3', sub { put_list(@_, '', 10, u16(0xffff)) } ],
	f3_few_pages => [ 'F3', sub { put_list(@_, '', 16, u16(0)) } ],
	f3_nowhere => [ 'F3', sub { put_list(@_, 'records', 0, u32(1_000_000)) } ],
	f3_short_page => [ 'F3', sub {
		my ($pages, $meta) = @_;
		put_at($pages, record_page($pages, $meta), 12 - PAGE_START, u16(100));
	} ],
	f4_code => [ 'F4', sub { put_list(@_, 'blocks', 4 * 5, pack('f', 'nan')) } ],
	f4_center => [ 'F4', sub { put_record(@_, 16 + 8, pack('f', 'inf')) } ],
	f4_spread => [ 'F4', sub { put_record(@_, 8, pack('f', -1)) } ],
	l1_row => [ 'L1', sub { put_list(@_, 'tids', 6 * 3 + 4, u16(0xffff)) } ],
	l2_cleared => [ 'L2', sub { put_list(@_, '', 12, u16(3)) } ],
	l2_record => [ 'L2', sub {
		my ($pages, $meta) = @_;
		put_at($pages, record_page($pages, $meta), 12, pack('f', 1000));
	} ],
	l2_record_type => [ 'L2', sub {
		my ($pages, $meta) = @_;
		put_at($pages, record_page($pages, $meta), 4, "\xff\xff");
	} ],
	l2_code => [ 'L2', sub {
		my ($pages, $meta) = @_;
		my ($block, $at) = list_at($pages, $meta, 0, 'blocks');
		put_at($pages, $block, $at + 384 + $_, chr(get_at($pages, $block, $at + 384 + $_, 'C') ^ 255))
		  for 0 .. 63;
	} ],
	l2_terms => [ 'L2', sub { put_list(@_, 'blocks', 4 * 5, pack('f', 12345)) } ],
	l3_cycle => [ 'L3', sub {
		my ($pages, $meta) = @_;
		my @chain = chain_of($pages, $meta, 0);
		put_at($pages, $chain[-1], 0, u32($chain[0]));
	} ],
	l3_shared => [ 'L3', sub {
		my ($pages, $meta) = @_;
		put_list($pages, $meta, 'records', 4, u32(record_page($pages, $meta)));
	} ],
	l3_lost => [ 'L3', sub { put_list(@_, '', 0, u32(NONE)) } ],
	l4_code => [ 'L4', sub {
		my ($pages, $meta) = @_;
		my $at = $meta->{part_shape}{blocks} + 384;
		put_at($pages, $meta->{part}, $at + $_,
			chr(get_at($pages, $meta->{part}, $at + $_, 'C') ^ 255)) for 0 .. 63;
	} ],
	l4_lists => [ 'L4', sub { put_at($_[0], 0, 96, u32($_[1]{nlists} + 1)) } ],
	l4_next => [ 'L4', sub { put_at($_[0], $_[1]{part}, 0, u32(1)) } ],
	l5_list => [ 'L5', sub { put_record(@_, 4, u32(0x7fffffff)) } ],
	l5_twice => [ 'L5', sub {
		my ($pages, $meta) = @_;
		my (undef, $id) = list_record($pages, $meta, 1);
		put_record($pages, $meta, 4, u32($id));
	} ],
	l5_part => [ 'L5', sub { put_at($_[0], 0, 72, u32(1)) } ],
	l6_twice => [ 'L6', sub {
		my ($pages, $meta) = @_;
		my ($block, $at) = list_at($pages, $meta, 0, 'tids');
		put_at($pages, $block, $at + 6 * 5, substr($$pages, $block * PAGE + PAGE_START + $at + 24, 6));
	} ],
	l7_free => [ 'L7', sub {
		my ($pages, $meta) = @_;
		put_at($pages, record_page($pages, $meta), KIND, u16(FREE));
	} ],
	l7_zero => [ 'L7', sub {
		my ($pages, $meta) = @_;
		my ($block) = list_record($pages, $meta, 0);
		substr($$pages, $block * PAGE, PAGE) = "\0" x PAGE;
	} ],
	l7_switch => [ 'L7', sub { put_at($_[0], 0, 84, u32(0x1000)) } ],
	l8_no_page => [ 'L8', sub { put_record(@_, 0, u32(NONE)) } ],
	l9_flags => [ 'L9', sub { put_list(@_, '', 8, u16(0x8000)) } ],
	# of indexes with a filter column: two words a row, first words of 32 rows first
	filter_column => [ 'F5', sub { put_list(@_, 'keys', 8 * 3, "\2") } ],
	filter_null => [ 'F5', sub { put_list(@_, 'keys', 8 * 3, "\1") } ],
	filter_word => [ 'heap', sub { put_list(@_, 'keys', 8 * (32 + 3), u32(12345)) } ],
	filter_none => [ '', sub { } ],
	heap_missing => [ 'heap', sub {
		my ($pages, $meta) = @_;
		put_list($pages, $meta, 'tids', 6 * 5, "\xff\xff\xff\xff\0\0");
		put_list($pages, $meta, '', 12, u16(1));
	} ],
);

my $node = vecext_node('main', init => [ no_data_checksums => 1 ], conf => "autovacuum = off\nfsync = off\n");
$node->safe_psql('postgres', <<SQL);
CREATE TABLE items (id int, v vector(48));
INSERT INTO items SELECT g, random_vector(48, g) FROM generate_series(1, $rows) g;
SQL
$node->safe_psql('postgres', join '', map {
	"CREATE INDEX $_ ON items USING ivfflat (v vector_l2_ops" . (/^filter/ ? ', id)' : ')') . "
		WITH (lists = 3, quantizer = rabitq, refine = full);\n" } sort keys %damage);
my %path = map { $_ => index_path($node, $_) } keys %damage;

$node->stop;
for my $name (sort keys %damage)
{
	my $pages = read_pages($path{$name});
	my $before = $pages;
	my $meta = ivf_meta(\$pages, $name =~ /^filter/ ? 2 : 0);
	$damage{$name}[1]->(\$pages, $meta);
	die "$name: nothing was damaged" if $pages eq $before && $name !~ /none$/;
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

# REINDEX cures all of them
$node->safe_psql('postgres', 'REINDEX TABLE items');
is( $node->safe_psql('postgres', join ' UNION ALL ', map {
		"SELECT '$_', * FROM vecext_index_check('$_', true)" } sort keys %damage),
	'', 'all are sound after REINDEX');
$node->safe_psql('postgres', join '', map { "DROP INDEX $_;\n" } grep { $_ ne 'none' } keys %damage);

# other shapes, empty, undefined and removed rows: nothing is found
for my $case (
	[ 'bits', 'bit(700)', 'bit_jaccard_ops',
		"(SELECT string_agg(((g * i) % 97 % 2)::text, '') FROM generate_series(1, 700) i)::bit(700)" ],
	[ 'wide', 'vector(2500)', 'vector_cosine_ops', 'random_vector(2500, g % 50)' ],
	[ 'sparse', 'sparsevec(90)', 'sparsevec_l2_ops', 'random_vector(90, g)::sparsevec' ],
	[ 'half', 'halfvec(60)', 'halfvec_ip_ops', 'random_vector(60, g)::halfvec', 'quantizer = int8' ],
	[ 'coded', 'vector(60)', 'vector_cosine_ops', 'random_vector(60, g)', 'refine = heap' ],
	[ 'short', 'vector(60)', 'vector_cosine_ops', 'random_vector(60, g)', 'refine = int8' ],
	[ 'exact', 'vector(60)', 'vector_l2_ops', 'random_vector(60, g)', 'quantizer = none' ])
{
	my ($name, $type, $class, $value, $with) = @$case;
	my $zero = $type =~ /^bit/ ? 'NULL' : $type =~ /^sparse/ ? "'{}/90'" :
	  $type =~ /\((\d+)\)/ ? "array_fill(0::real, ARRAY[$1])::vector" : 'NULL';
	$with = $with ? ", $with" : '';
	$node->safe_psql('postgres', <<SQL);
CREATE TABLE $name (id int, v $type);
CREATE INDEX ${name}_v ON $name USING ivfflat (v $class) WITH (lists = 6$with);
SQL
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('${name}_v', true)"),
		'', "$name: sound when empty");
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM vecext_index_stats('${name}_v')"),
		'>', 15, "$name: figures when empty");
	my $insert = "INSERT INTO $name SELECT g, $value FROM generate_series(1, 400) g;
		INSERT INTO $name VALUES (0, NULL), (0, $zero);";
	$node->safe_psql('postgres', "$insert REINDEX TABLE $name; $insert
		DELETE FROM $name WHERE id % 5 = 1;");
	$node->safe_psql('postgres', "VACUUM (INDEX_CLEANUP ON) $name");
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('${name}_v', true)"),
		'', "$name: sound after build, inserts, vacuum");
	is($node->safe_psql('postgres', <<SQL), 't', "$name: figures agree");
WITH s AS (SELECT name, value FROM vecext_index_stats('${name}_v'))
SELECT (SELECT value FROM s WHERE name = 'rows') = (SELECT count(*) FROM $name WHERE v IS NOT NULL)
	AND (SELECT value FROM s WHERE name = 'pages') * 8192 = pg_relation_size('${name}_v')
	AND (SELECT sum(value) FROM s WHERE name ~ ' pages\$')
		= (SELECT value FROM s WHERE name = 'pages')
	AND (SELECT value FROM s WHERE name = 'damaged pages') = 0
	AND (SELECT count(*) FROM s WHERE value = 'NaN') = 0
SQL
}

# figures never tell what a vector holds; drift grows when rows are unlike the lists
sub figure
{
	my ($name) = @_;
	return $node->safe_psql('postgres',
		"SELECT value FROM vecext_index_stats('none') WHERE name = '$name'");
}
is(figure('lists'), 3, 'lists');
is(figure('rows'), $rows, 'rows');
is(figure('rows undefined'), 0, 'rows without a distance');
is(figure('rows cleared'), 0, 'rows cleared');
is(figure('unused pages'), 0, 'a fresh index wastes no page');
cmp_ok(figure('smallest list'), '<=', figure('mean list'), 'smallest list');
cmp_ok(figure('mean list'), '<=', figure('largest list'), 'largest list');
cmp_ok(figure('drift'), '<=', 0.01, 'no drift in a fresh index');
cmp_ok(abs(figure('spread') / figure('spread written') - 1), '<', 0.2, 'spread is as written');
my $spread = figure('spread');
$node->safe_psql('postgres', "INSERT INTO items SELECT -g, random_vector(48, g) + random_vector(48, 5)
	+ random_vector(48, 5) FROM generate_series(1, $rows) g");
cmp_ok(figure('spread'), '>', 1.1 * $spread, 'rows unlike the lists show');

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
is(sqlstate('reader', "SELECT vecext_recall('none')"), '', 'recall: for readers of the table');
is($node->safe_psql('postgres', "SET ivfflat.probes = 3; SELECT vecext_recall('none', 50, 10)"),
	'1', 'recall with all lists');
my $one = $node->safe_psql('postgres',
	"SET ivfflat.iterative_scan = off; SELECT vecext_recall('none', 50, 10)");
cmp_ok($one, '<', 1, "recall with one list: $one");
cmp_ok($one, '>', 0.2, 'but some are found');

$node->stop;
done_testing();
