# COPY out and in, text and binary, returns every bit.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;

my $node = vecext_node('main');
my $folder = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', fill_types('original'));
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM original'), '>', 20, 'there are rows');

for my $format (qw(text csv binary))
{
	$node->safe_psql('postgres', <<SQL);
CREATE TABLE copied_$format (LIKE original);
COPY original TO '$folder/$format.1' WITH (FORMAT $format);
COPY copied_$format FROM '$folder/$format.1' WITH (FORMAT $format);
COPY copied_$format TO '$folder/$format.2' WITH (FORMAT $format);
SQL
	is($node->safe_psql('postgres', same_rows('original', "copied_$format")),
		'0', "$format: same bits");
	ok(slurp_file("$folder/$format.1") eq slurp_file("$folder/$format.2"),
		"$format: the same file again");
}

# A binary file with one wrong byte must be refused, never believed.  The
# first value of the first row starts after header (19), column count (2),
# length (4): dim, unused, elements.
$node->safe_psql('postgres', <<SQL);
CREATE TABLE one (v vector);
INSERT INTO one VALUES ('[1,2,3]');
COPY one TO '$folder/one' WITH (FORMAT binary);
SQL
my $good = slurp_file("$folder/one");
my %damage = (
	'no dimension' => [ 25, "\0\0", '22000' ],
	'too many dimensions' => [ 25, "\xff\xff", '54000' ],
	'more dimensions than bytes' => [ 25, "\0\4", '08P01' ],
	'unused field in use' => [ 27, "\0\1", '22000' ],
	'not a number' => [ 29, "\x7f\xc0\0\0", '22000' ],
	'infinity' => [ 29, "\x7f\x80\0\0", '22000' ],
);
for my $name (sort keys %damage)
{
	my ($at, $bytes, $sqlstate) = @{ $damage{$name} };
	my $bad = $good;
	substr($bad, $at, length($bytes)) = $bytes;
	open(my $fh, '>:raw', "$folder/bad") or die $!;
	print $fh $bad;
	close $fh;

	my ($rc, $out, $err) = $node->psql('postgres',
		"\\set VERBOSITY sqlstate\nCOPY one FROM '$folder/bad' WITH (FORMAT binary)");
	like($err, qr/ERROR:\s+$sqlstate/, "$name: $sqlstate");
}
is($node->safe_psql('postgres', 'SELECT * FROM one'), '[1,2,3]', 'nothing bad came in');

done_testing();
