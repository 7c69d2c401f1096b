# Binary input trusts nothing: each malformed message is refused with its
# SQLSTATE, in the order dimensions, typmod, unused field, elements.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;

my $node = vecext_node('main');
my $folder = PostgreSQL::Test::Utils::tempdir;

# a COPY file of one row with one column
sub copy_file
{
	my ($datum) = @_;
	return "PGCOPY\n\xff\r\n\0" . pack('N N', 0, 0) . pack('n N', 1, length($datum)) . $datum .
	  pack('n', 0xffff);
}

# Loads $datum into a column of type $type; returns the SQLSTATE and message,
# or 'ok' and the value as text.
sub receive
{
	my ($type, $datum) = @_;
	open(my $fh, '>:raw', "$folder/row") or die $!;
	print $fh copy_file($datum);
	close $fh;
	my ($rc, $out, $err) = $node->psql('postgres', <<SQL);
\\set VERBOSITY verbose
CREATE TEMP TABLE received (v $type);
COPY received FROM '$folder/row' WITH (FORMAT binary);
SELECT v FROM received;
SQL
	return "$1 $2" if $err =~ /ERROR:\s+(\w{5}): ([^\n]*)/;
	die "no error and no value: $err" if $err ne '' or $rc != 0;
	return "ok $out";
}

# messages; halves and float4s as bits, so that NaN and infinity can be written
sub vector_bits  { return pack('n n N*', $_[0], $_[1], @_[ 2 .. $#_ ]) }
sub halfvec_bits { return pack('n n n*', $_[0], $_[1], @_[ 2 .. $#_ ]) }

# sparse: dim, nnz, unused, indices, values
sub sparsevec_bits
{
	my ($dim, $nnz, $unused, $indices, $values) = @_;
	return pack('l> l> l>', $dim, $nnz, $unused) . pack('l>*', @$indices) . pack('N*', @$values);
}

my ($one, $two, $minus_zero, $subnormal) = (0x3f800000, 0x40000000, 0x80000000, 1);
my ($nan, $signaling, $infinity, $minus_infinity) = (0x7fc00000, 0x7f800001, 0x7f800000, 0xff800000);
my ($half_one, $half_minus_zero) = (0x3c00, 0x8000);

# type, what, message, answer: SQLSTATE and what its message says
my @cases = (
	[ 'vector', 'good', vector_bits(2, 0, $one, $two), qr/^ok \[1,2\]$/ ],
	[ 'vector', 'negative zero', vector_bits(1, 0, $minus_zero), qr/^ok \[-0\]$/ ],
	[ 'vector', 'subnormal', vector_bits(1, 0, $subnormal), qr/^ok \[1e-45\]$/ ],
	[ 'vector(2)', 'typmod kept', vector_bits(2, 0, $one, $two), qr/^ok \[1,2\]$/ ],
	[ 'vector', 'no dimension', vector_bits(0, 0), qr/^22000 .*at least 1 dimension/ ],
	[ 'vector', '16001 dimensions', vector_bits(16001, 0, $one), qr/^54000 .*16000/ ],
	[ 'vector', '0x8000 is not negative', vector_bits(0x8000, 0, $one), qr/^54000 .*16000/ ],
	[ 'vector', '0xffff', vector_bits(0xffff, 0, $one), qr/^54000 .*16000/ ],
	[ 'vector(3)', 'typmod', vector_bits(2, 0, $one, $two), qr/^22000 .*expected 3.* 2/ ],
	[ 'vector(3)', 'dimensions before typmod', vector_bits(0, 0), qr/^22000 .*at least 1 dimension/ ],
	[ 'vector(3)', 'typmod before unused', vector_bits(2, 1, $one, $two), qr/^22000 .*expected 3.* 2/ ],
	[ 'vector', 'unused', vector_bits(2, 1, $one, $two), qr/^22000 .*unused/ ],
	[ 'vector', 'unused, high bit', vector_bits(2, 0x8000, $one, $two), qr/^22000 .*unused/ ],
	[ 'vector', 'NaN', vector_bits(2, 0, $one, $nan), qr/^22000 .*NaN/ ],
	[ 'vector', 'signaling NaN', vector_bits(1, 0, $signaling), qr/^22000 .*NaN/ ],
	[ 'vector', 'infinity', vector_bits(2, 0, $infinity, $one), qr/^22000 .*infinite/ ],
	[ 'vector', 'minus infinity', vector_bits(1, 0, $minus_infinity), qr/^22000 .*infinite/ ],
	[ 'vector', 'empty', '', qr/^08P01 / ],
	[ 'vector', 'half a header', "\0\1", qr/^08P01 / ],
	[ 'vector', 'header alone', vector_bits(1, 0), qr/^08P01 / ],
	[ 'vector', 'one element too few', vector_bits(3, 0, $one, $two), qr/^08P01 / ],
	[ 'vector', 'one byte too few', substr(vector_bits(2, 0, $one, $two), 0, -1), qr/^08P01 / ],
	[ 'vector', '16000 announced, one sent', vector_bits(16000, 0, $one), qr/^08P01 / ],
	[ 'vector', 'one byte too many', vector_bits(1, 0, $one) . "\0", qr/^22P03 / ],

	[ 'halfvec', 'good', halfvec_bits(2, 0, $half_one, 0x7bff), qr/^ok \[1,65504\]$/ ],
	[ 'halfvec', 'negative zero', halfvec_bits(1, 0, $half_minus_zero), qr/^ok \[-0\]$/ ],
	[ 'halfvec', 'subnormal', halfvec_bits(1, 0, 1), qr/^ok \[5\.9604645e-08\]$/ ],
	[ 'halfvec', 'no dimension', halfvec_bits(0, 0), qr/^22000 .*at least 1 dimension/ ],
	[ 'halfvec', '16001 dimensions', halfvec_bits(16001, 0, $half_one), qr/^54000 .*16000/ ],
	[ 'halfvec', '0x8000 is not negative', halfvec_bits(0x8000, 0, $half_one), qr/^54000 .*16000/ ],
	[ 'halfvec(3)', 'typmod', halfvec_bits(1, 0, $half_one), qr/^22000 .*expected 3.* 1/ ],
	[ 'halfvec', 'unused', halfvec_bits(1, 2, $half_one), qr/^22000 .*unused/ ],
	[ 'halfvec', 'NaN', halfvec_bits(1, 0, 0x7e00), qr/^22000 .*NaN/ ],
	[ 'halfvec', 'signaling NaN', halfvec_bits(2, 0, $half_one, 0x7c01), qr/^22000 .*NaN/ ],
	[ 'halfvec', 'infinity', halfvec_bits(1, 0, 0x7c00), qr/^22000 .*infinite/ ],
	[ 'halfvec', 'minus infinity', halfvec_bits(1, 0, 0xfc00), qr/^22000 .*infinite/ ],
	[ 'halfvec', 'empty', '', qr/^08P01 / ],
	[ 'halfvec', 'one element too few', halfvec_bits(2, 0, $half_one), qr/^08P01 / ],
	[ 'halfvec', 'one byte too few', substr(halfvec_bits(1, 0, $half_one), 0, -1), qr/^08P01 / ],
	[ 'halfvec', 'one byte too many', halfvec_bits(1, 0, $half_one) . "\0", qr/^22P03 / ],

	[ 'sparsevec', 'good', sparsevec_bits(5, 2, 0, [ 0, 4 ], [ $one, $two ]), qr!^ok \{1:1,5:2\}/5$! ],
	[ 'sparsevec', 'no element', sparsevec_bits(5, 0, 0, [], []), qr!^ok \{\}/5$! ],
	[ 'sparsevec', 'last of 1e9', sparsevec_bits(1e9, 1, 0, [ 999999999 ], [$one]),
		qr!^ok \{1000000000:1\}/1000000000$! ],
	[ 'sparsevec', 'no dimension', sparsevec_bits(0, 0, 0, [], []), qr/^22000 .*at least 1 dimension/ ],
	[ 'sparsevec', 'negative dimension', sparsevec_bits(-1, 0, 0, [], []), qr/^22000 .*at least 1 dimension/ ],
	[ 'sparsevec', '1e9 + 1 dimensions', sparsevec_bits(1e9 + 1, 0, 0, [], []), qr/^54000 .*1000000000/ ],
	[ 'sparsevec', 'negative nnz', sparsevec_bits(5, -1, 0, [], []), qr/^22000 / ],
	[ 'sparsevec', 'smallest nnz', sparsevec_bits(5, -2147483648, 0, [], []), qr/^22000 / ],
	[ 'sparsevec', '16001 non-zeros', sparsevec_bits(1e6, 16001, 0, [], []), qr/^54000 .*16000/ ],
	[ 'sparsevec', 'largest nnz', sparsevec_bits(1e9, 2147483647, 0, [], []), qr/^54000 .*16000/ ],
	[ 'sparsevec', 'more non-zeros than dimensions',
		sparsevec_bits(1, 2, 0, [ 0, 1 ], [ $one, $two ]), qr/^54000 / ],
	[ 'sparsevec(4)', 'typmod', sparsevec_bits(5, 1, 0, [0], [$one]), qr/^22000 .*expected 4.* 5/ ],
	[ 'sparsevec(4)', 'nnz before typmod', sparsevec_bits(5, 6, 0, [], []), qr/^54000 / ],
	[ 'sparsevec', 'unused', sparsevec_bits(5, 1, 1, [0], [$one]), qr/^22000 .*unused/ ],
	[ 'sparsevec', 'index = dim', sparsevec_bits(5, 1, 0, [5], [$one]), qr/^22000 .*ind(ex|ices)/ ],
	[ 'sparsevec', 'negative index', sparsevec_bits(5, 1, 0, [-1], [$one]), qr/^22000 .*ind(ex|ices)/ ],
	[ 'sparsevec', 'unordered', sparsevec_bits(5, 2, 0, [ 3, 1 ], [ $one, $two ]), qr/^22000 .*ind(ex|ices)/ ],
	[ 'sparsevec', 'duplicate', sparsevec_bits(5, 2, 0, [ 3, 3 ], [ $one, $two ]), qr/^22000 .*ind(ex|ices)/ ],
	[ 'sparsevec', 'zero', sparsevec_bits(5, 1, 0, [0], [0]), qr/^22000 / ],
	[ 'sparsevec', 'negative zero', sparsevec_bits(5, 1, 0, [0], [$minus_zero]), qr/^22000 / ],
	[ 'sparsevec', 'NaN', sparsevec_bits(5, 1, 0, [0], [$nan]), qr/^22000 .*NaN/ ],
	[ 'sparsevec', 'infinity', sparsevec_bits(5, 2, 0, [ 0, 1 ], [ $one, $minus_infinity ]), qr/^22000 .*infinite/ ],
	[ 'sparsevec', 'empty', '', qr/^08P01 / ],
	[ 'sparsevec', 'header cut', substr(sparsevec_bits(5, 0, 0, [], []), 0, 10), qr/^08P01 / ],
	[ 'sparsevec', 'indices cut', sparsevec_bits(5, 2, 0, [0], []), qr/^08P01 / ],
	[ 'sparsevec', 'values cut', sparsevec_bits(5, 2, 0, [ 0, 1 ], [$one]), qr/^08P01 / ],
	[ 'sparsevec', '16000 announced, one sent', sparsevec_bits(1e6, 16000, 0, [0], [$one]), qr/^08P01 / ],
	[ 'sparsevec', 'one byte too many', sparsevec_bits(5, 1, 0, [0], [$one]) . "\0", qr/^22P03 / ]);

# a NaN or infinity in any lane of the check is seen
for my $at (0 .. 34)
{
	my @elements = map { $_ == $at ? $nan : $one } 0 .. 34;
	push @cases, [ 'vector', "NaN at $at", vector_bits(35, 0, @elements), qr/^22000 .*NaN/ ];
	my @halves = map { $_ == $at ? 0xfc00 : $half_one } 0 .. 34;
	push @cases, [ 'halfvec', "infinity at $at", halfvec_bits(35, 0, @halves), qr/^22000 .*infinite/ ];
}

for my $case (@cases)
{
	my ($type, $what, $datum, $expected) = @$case;
	like(receive($type, $datum), $expected, "$type: $what");
}

# what send wrote, receive reads: every length around the lanes, bit by bit
$node->safe_psql('postgres', <<SQL);
CREATE TABLE sent AS SELECT d, v, v::halfvec AS h, v::sparsevec AS s
FROM generate_series(1, 70) d, LATERAL (SELECT random_vector(d, d) AS v) r;
COPY sent TO '$folder/sent' WITH (FORMAT binary);
CREATE TABLE back (LIKE sent);
COPY back FROM '$folder/sent' WITH (FORMAT binary);
SQL
is( $node->safe_psql('postgres', <<'SQL'), '70', 'round trip');
SELECT count(*) FROM sent JOIN back USING (d)
WHERE vector_send(sent.v) = vector_send(back.v) AND halfvec_send(sent.h) = halfvec_send(back.h)
	AND sparsevec_send(sent.s) = sparsevec_send(back.s)
SQL

done_testing();
